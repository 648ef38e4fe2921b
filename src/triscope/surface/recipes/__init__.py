"""Named settings, one TOML file each: ``triscope fit ddn DATA --settings ddn-cpu``."""
