"""Where other libraries meet aecodec; each module needs its library, and says so."""
