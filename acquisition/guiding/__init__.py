"""The autoguiding loop: camera frames in, pulses to the mount out, events to whoever listens.

`guider` ties together what has one file each: `calibration`, `algorithms` (guide laws), `apply`, `dither`, `settle`,
`statistics`.
"""
