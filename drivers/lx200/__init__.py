"""Serial mounts that speak LX200 or one of its dialects, over pyserial."""
