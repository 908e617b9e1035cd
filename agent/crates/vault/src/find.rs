//! Looking into snapshots: what changed between two, which hold a path.

use backstop_model::tree::{Node, NodeKind, compare};

use crate::error::Result;
use crate::manifest::Stored;
use crate::open::Vault;
use crate::snapshot::Snapshot;

/// A difference between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only in the second.
    Added(Node),
    /// Only in the first.
    Removed(Node),
    /// In both, with other contents.
    Contents(Node, Node),
    /// In both, the same contents under other metadata (mode, owner, times, attributes).
    Metadata(Node, Node),
}

/// An entry that a search came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The entry.
    pub node: Node,
}

impl Vault {
    /// Visits every difference from `a` to `b`, in canonical order.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn diff(&self, a: &Snapshot, b: &Snapshot, visit: &mut dyn FnMut(Change)) -> Result<()> {
        let mut left = self.entries(a);
        let mut right = self.entries(b);
        let mut next_left = left.next().transpose()?;
        let mut next_right = right.next().transpose()?;
        loop {
            let order = match (&next_left, &next_right) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => compare(&a.node.path, &b.node.path),
            };
            if order.is_le() {
                let gone = next_left.take();
                next_left = left.next().transpose()?;
                if order.is_lt() {
                    gone.into_iter().for_each(|entry| visit(Change::Removed(entry.node)));
                    continue;
                }
                if let (Some(a), Some(b)) = (gone, next_right.take()) {
                    change(a, b).into_iter().for_each(&mut *visit);
                }
                next_right = right.next().transpose()?;
            } else {
                next_right.take().into_iter().for_each(|entry| visit(Change::Added(entry.node)));
                next_right = right.next().transpose()?;
            }
        }
    }

    /// Visits every entry of a snapshot that `wanted` accepts.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn find(&self, snapshot: &Snapshot, wanted: &dyn Fn(&Node) -> bool, visit: &mut dyn FnMut(Hit)) -> Result<()> {
        for entry in self.entries(snapshot) {
            let entry = entry?;
            if wanted(&entry.node) {
                visit(Hit { node: entry.node });
            }
        }
        Ok(())
    }
}

fn change(a: Stored, b: Stored) -> Option<Change> {
    let same_contents = match (&a.node.kind, &b.node.kind) {
        (NodeKind::File { size: left, .. }, NodeKind::File { size: right, .. }) => {
            left == right && a.contents == b.contents
        }
        (left, right) => left == right,
    };
    let (left, right) = (&a.node.meta, &b.node.meta);
    let same_meta = left.mode == right.mode
        && (left.uid, left.gid) == (right.uid, right.gid)
        && left.mtime == right.mtime
        && left.xattrs == right.xattrs;
    match (same_contents, same_meta) {
        (true, true) => None,
        (true, false) => Some(Change::Metadata(a.node, b.node)),
        (false, _) => Some(Change::Contents(a.node, b.node)),
    }
}
