//! The reference of the configuration keys, as `nexus help config` prints it.
