//! What a cloud with native disk snapshots can do for machines.
//!
//! Blocking calls, made from any thread. Ids are the cloud's own and opaque: they are stored, compared and handed back,
//! never taken apart. Every call that makes something carries a name or a token that the caller derives from (run,
//! step), so that a call repeated after a crash, a timeout or a lost answer finds what the first one made.

use std::collections::BTreeMap;
use std::fmt;

use backstop_model::{Bytes, Region, Span, Timestamp};

/// Defines an opaque id as a cloud writes it.
macro_rules! cloud_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

cloud_id!(
    /// A machine, as its cloud names it.
    MachineId
);
cloud_id!(
    /// A disk, as its cloud names it.
    DiskId
);
cloud_id!(
    /// A snapshot of one disk, as its cloud names it.
    SnapshotRef
);

/// What a cloud can and cannot do. Verbs ask here, never which cloud it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// Places its snapshots can be in.
    pub regions: Vec<Region>,
    /// Snapshots of all disks of a machine are of one instant. Otherwise each is consistent by itself alone.
    pub consistent_sets: bool,
    /// A snapshot stores only what changed since the disk's snapshot before.
    pub incremental: bool,
    /// Most snapshots that one disk may have in a region.
    pub snapshots_per_disk_max: u32,
    /// Longest value of a tag, in characters.
    pub tag_value_max: usize,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Where it runs.
    pub region: Region,
    /// Tags, by name.
    pub tags: BTreeMap<String, String>,
    /// Its disks, the one it starts from first.
    pub disks: Vec<DiskId>,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its id.
    pub id: DiskId,
    /// Where it is.
    pub region: Region,
    /// How large it appears to a machine.
    pub size: Bytes,
    /// The machine it belongs to, if any.
    pub machine: Option<MachineId>,
    /// The snapshot it was made from, if any.
    pub made_from: Option<SnapshotRef>,
    /// Tags, by name.
    pub tags: BTreeMap<String, String>,
}

/// An immutable copy of a disk at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSnapshot {
    /// Its id.
    pub id: SnapshotRef,
    /// Where it is.
    pub region: Region,
    /// The disk it shows. Copies in other regions name the same disk.
    pub disk: DiskId,
    /// The instant whose state it shows. A copy keeps that of the original.
    pub captured: Timestamp,
    /// Size of the disk.
    pub size: Bytes,
    /// How much of it is there, 0 to 100. It can be used for nothing but waiting until this is 100.
    pub percent: u8,
    /// Why it will never be complete, if that is so; it is deleted and begun again.
    pub failed: Option<String>,
    /// The snapshot in another region that it was copied from.
    pub copied_from: Option<SnapshotRef>,
    /// Tags, by name.
    pub tags: BTreeMap<String, String>,
}

impl DiskSnapshot {
    /// Whether it can be used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.percent == 100 && self.failed.is_none()
    }
}

/// Snapshots of all disks of a machine at one instant.
#[derive(Debug, Clone)]
pub struct CaptureRequest {
    /// Which machine.
    pub machine: MachineId,
    /// Names the set: begins the name of every snapshot in it, and finds it again. Letters, digits and `-`, at most 60.
    pub token: String,
    /// Put on every snapshot.
    pub tags: BTreeMap<String, String>,
}

/// A copy to another region.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// What to copy; complete.
    pub from: SnapshotRef,
    /// Where to.
    pub to: Region,
    /// The name it gets there, which finds it again. Letters, digits and `-`, at most 80.
    pub name: String,
    /// Put on the copy.
    pub tags: BTreeMap<String, String>,
}

/// A disk to be made.
#[derive(Debug, Clone)]
pub struct DiskRequest {
    /// From this snapshot; complete, and the disk comes to be in its region.
    pub from: SnapshotRef,
    /// The name it gets, which finds it again. Letters, digits and `-`, at most 80.
    pub name: String,
    /// Put on the disk.
    pub tags: BTreeMap<String, String>,
}

/// Why a call did not do what it was asked, by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudFault {
    /// Too many calls. Nothing was done; the same call is welcome after the wait.
    #[error("the cloud asks to wait {retry_after}")]
    Throttled {
        /// How long to wait.
        retry_after: Span,
    },
    /// The cloud, or its region, does not answer. Whether something was done is unknown: repeat the call later, or look.
    #[error("the cloud does not answer: {detail}")]
    Outage {
        /// What was heard.
        detail: String,
    },
    /// What the call is about does not exist.
    #[error("the cloud knows no {what}")]
    NotFound {
        /// Kind and id.
        what: String,
    },
    /// A limit of the account or of the disk. Nothing was done; something must be deleted or raised first.
    #[error("a limit of the cloud is reached: {detail}")]
    Quota {
        /// Which one.
        detail: String,
    },
    /// Something stands in the way for now, or for good: the name belongs to something else, another copy of the disk
    /// is under way, the source is not complete, it is in use. Nothing was done.
    #[error("the cloud refuses for now: {detail}")]
    Conflict {
        /// What is in the way.
        detail: String,
    },
    /// The credentials do not allow it. Nothing was done.
    #[error("the cloud denies access: {detail}")]
    Denied {
        /// What is lacking.
        detail: String,
    },
}

/// A platform that owns machines.
///
/// - A list is complete as of some instant during the call, and in the order of ids.
/// - A call that returned a value has happened; what it made is in every later list.
/// - [`CloudFault::Throttled`], `NotFound`, `Quota`, `Conflict` and `Denied` mean that nothing happened.
///   [`CloudFault::Outage`] means that nobody knows, and repeating the call is safe.
/// - Nothing waits: what takes long is begun, and looked at again.
pub trait Cloud: Send + Sync {
    /// What it can do. Does not ask the cloud.
    fn abilities(&self) -> Abilities;

    /// Every machine in reach.
    ///
    /// # Errors
    /// Any but `Quota` and `Conflict`.
    fn machines(&self) -> Result<Vec<Machine>, CloudFault>;

    /// One disk.
    ///
    /// # Errors
    /// `NotFound`, and any but `Quota` and `Conflict`.
    fn disk(&self, id: &DiskId) -> Result<Disk, CloudFault>;

    /// Every disk in reach, attached or not.
    ///
    /// # Errors
    /// As [`Cloud::machines`].
    fn disks(&self) -> Result<Vec<Disk>, CloudFault>;

    /// Takes a snapshot of every disk of a machine, in the machine's region, or finds the set that this token names and
    /// completes it: if some were made before a fault, only the others are.
    ///
    /// With [`Abilities::consistent_sets`] a set that cannot be completed with one instant is not completed: `Conflict`,
    /// and the caller deletes its parts and takes another token.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the token names the set of another machine; `Quota`.
    fn capture(&self, request: &CaptureRequest) -> Result<Vec<DiskSnapshot>, CloudFault>;

    /// One snapshot as it is now.
    ///
    /// # Errors
    /// `NotFound`.
    fn snapshot(&self, id: &SnapshotRef) -> Result<DiskSnapshot, CloudFault>;

    /// Every snapshot in a region, complete or not.
    ///
    /// # Errors
    /// `NotFound` for a region that the cloud does not have.
    fn snapshots(&self, region: &Region) -> Result<Vec<DiskSnapshot>, CloudFault>;

    /// Begins to copy a snapshot to another region, or finds the copy of that name. It goes on by itself; look at
    /// [`DiskSnapshot::percent`].
    ///
    /// Copies of one disk to one region are made one at a time and in the order in which the snapshots were captured.
    /// Deleting the source while it is copied makes the copy fail.
    ///
    /// # Errors
    /// `NotFound`; `Quota`; `Conflict` when the name belongs to something else, the source is incomplete, another copy
    /// of the disk is under way there, or a later snapshot of the disk has been copied there already.
    fn start_copy(&self, request: &CopyRequest) -> Result<DiskSnapshot, CloudFault>;

    /// Deletes a snapshot, complete or not. Others are not touched by it, however little each of them stores. One that
    /// is gone is fine.
    ///
    /// # Errors
    /// `Conflict` when a lock protects it.
    fn delete_snapshot(&self, id: &SnapshotRef) -> Result<(), CloudFault>;

    /// Makes a disk from a snapshot, or finds the one of that name. It belongs to no machine, holds exactly the bytes of
    /// the snapshot, and is independent of it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the name belongs to something else or the snapshot is incomplete; `Quota`.
    fn make_disk(&self, request: &DiskRequest) -> Result<Disk, CloudFault>;

    /// Deletes a disk that belongs to no machine. One that is gone is fine.
    ///
    /// # Errors
    /// `Conflict` when it belongs to a machine, or a lock protects it.
    fn delete_disk(&self, id: &DiskId) -> Result<(), CloudFault>;
}
