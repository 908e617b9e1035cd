//! What the black-box tests share: a [`Site`] in a directory of its own with a configuration, two vaults and a tree,
//! which runs the real program; and [`facts`] about trees, gathered without any code of the program.
#![allow(clippy::disallowed_methods, reason = "tests look at the real file system, processes and clock")]

pub mod facts;
pub mod machine;
mod site;

pub use site::{Answer, Site, Started};
