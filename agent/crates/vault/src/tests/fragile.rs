//! fragile
