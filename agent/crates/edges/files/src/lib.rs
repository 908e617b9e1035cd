//! Edge: directory trees of this machine, read for a backup and written back by a restore (Linux).
//!
//! - [`TreeSource`] implements `seams::Source`: walks configured roots, or a restored tree for comparison.
//! - [`TreeTarget`] implements `seams::Target`: writes a tree below one directory.
//! - [`places`] prepares, exchanges and removes whole directories.
//!
//! Everything works by directory descriptor and single name, never by full path: so a path may be longer than the
//! system's limit, and a parent that is renamed or replaced by a symbolic link meanwhile leads nowhere else. Full
//! paths appear only as the anchors people configured.
//!
//! Touches nothing but the trees it is pointed at and `/proc/self/fd`. Only the composition root constructs these.

// This edge is where the file system is allowed to appear.
#![allow(clippy::disallowed_methods)]

mod attributes;
mod cut;
mod directory;
mod exclude;
mod landing;
mod limit;
mod names;
pub mod places;
mod roots;
mod shelf;
mod source;
mod special;
mod stamp;
mod target;
mod walk;

pub use source::TreeSource;
pub use target::{TargetOptions, TreeTarget};
