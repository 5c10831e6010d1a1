"""Pure numeric functions on arrays and numbers: no logging, no headers, no asyncio."""
