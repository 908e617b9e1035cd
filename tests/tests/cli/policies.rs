//! Policies as operators meet them: bound by TOML, asked before every verb, and harmless whatever they do.

mod alerted;
mod author;
mod decided;
mod hostile;
mod kit;
