//! Clouds.

use std::collections::BTreeMap;

use backstop_model::Region;

use crate::cloud::{
    CaptureRequest, Cloud, CloudFault, CopyRequest, Disk, DiskId, DiskRequest, DiskSnapshot, Machine, MachineId,
    SnapshotRef,
};

/// A cloud with a machine to try it on. No faults may be injected while the suite runs.
pub struct Rig<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// A machine with at least two disks and no snapshots, in one region.
    pub machine: MachineId,
    /// Another region.
    pub far: Region,
    /// Changes some bytes of a disk.
    pub write: &'a dyn Fn(&DiskId),
    /// A digest of all bytes of a disk.
    pub digest: &'a dyn Fn(&DiskId) -> [u8; 32],
    /// Lets time pass: enough calls of it complete any copy.
    pub wait: &'a dyn Fn(),
}

/// Calls of [`Rig::wait`] after which a copy that is not complete never will be.
const WAITS_MAX: usize = 10_000;

/// Runs all of the suite. What it makes it deletes.
///
/// # Panics
/// When the cloud breaks its contract.
pub fn cloud(rig: &Rig<'_>) {
    let machine = rig.machine();
    assert!(machine.disks.len() >= 2 && machine.region != rig.far, "the suite wants two disks and another region");
    assert!(rig.cloud.abilities().regions.contains(&rig.far), "`{}` is none of its regions", rig.far);
    unknown(rig);
    let before: Vec<[u8; 32]> = machine.disks.iter().map(rig.digest).collect();
    let first = captured(rig, &machine);
    machine.disks.iter().for_each(rig.write);
    restored(rig, &machine, &first, &before);
    copied(rig, &machine, &first);
    deleted(rig, &machine);
}

impl Rig<'_> {
    fn machine(&self) -> Machine {
        let machines = self.cloud.machines().expect("machines are listed");
        machines.into_iter().find(|machine| machine.id == self.machine).expect("the machine of the rig is listed")
    }

    fn capture(&self, token: &str) -> Result<Vec<DiskSnapshot>, CloudFault> {
        let tags = tags(token);
        self.cloud.capture(&CaptureRequest { machine: self.machine.clone(), token: token.into(), tags })
    }

    fn copy(&self, from: &DiskSnapshot, name: &str) -> Result<DiskSnapshot, CloudFault> {
        let (from, to, name) = (from.id.clone(), self.far.clone(), name.to_owned());
        self.cloud.start_copy(&CopyRequest { from, to, tags: tags(&name), name })
    }

    fn disk(&self, from: &DiskSnapshot, name: &str) -> Result<Disk, CloudFault> {
        let (from, name) = (from.id.clone(), name.to_owned());
        self.cloud.make_disk(&DiskRequest { from, tags: tags(&name), name })
    }

    /// Waits until the snapshot is complete; its share never shrinks.
    fn complete(&self, id: &SnapshotRef) -> DiskSnapshot {
        let mut last = 0;
        for _ in 0..WAITS_MAX {
            let now = self.cloud.snapshot(id).expect("it was begun");
            assert!(now.percent >= last && now.percent <= 100, "{id} went from {last} % to {} %", now.percent);
            assert_eq!(now.failed, None, "{id} failed with nothing in its way");
            if now.is_complete() {
                return now;
            }
            last = now.percent;
            (self.wait)();
        }
        panic!("{id} stays at {last} %");
    }
}

fn tags(purpose: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("backstop:purpose".to_owned(), purpose.to_owned()), ("suite".to_owned(), "1".to_owned())])
}

fn is_conflict<T: std::fmt::Debug>(what: &str, answer: Result<T, CloudFault>) {
    assert!(matches!(answer, Err(CloudFault::Conflict { .. })), "{what}: {answer:?}");
}

fn is_unknown<T: std::fmt::Debug>(what: &str, answer: Result<T, CloudFault>) {
    assert!(matches!(answer, Err(CloudFault::NotFound { .. })), "{what}: {answer:?}");
}

fn unknown(rig: &Rig<'_>) {
    let (disk, snapshot) = (DiskId("no-such-disk".into()), SnapshotRef("no-such-snapshot".into()));
    is_unknown("a disk that is not there", rig.cloud.disk(&disk));
    is_unknown("a snapshot that is not there", rig.cloud.snapshot(&snapshot));
    is_unknown("a region that is not there", rig.cloud.snapshots(&"no-such-region".parse().expect("valid")));
    let request = CaptureRequest { machine: MachineId("no-such-vm".into()), token: "t0".into(), tags: tags("t0") };
    is_unknown("a capture of a machine that is not there", rig.cloud.capture(&request));
    rig.cloud.delete_disk(&disk).expect("a disk that is gone is fine");
    rig.cloud.delete_snapshot(&snapshot).expect("a snapshot that is gone is fine");
}

fn captured(rig: &Rig<'_>, machine: &Machine) -> Vec<DiskSnapshot> {
    let set = rig.capture("suite-1").expect("a capture");
    let disks: Vec<&DiskId> = set.iter().map(|snapshot| &snapshot.disk).collect();
    assert_eq!(disks, machine.disks.iter().collect::<Vec<_>>(), "one snapshot for each disk, in the machine's order");
    for snapshot in &set {
        assert!(snapshot.id.0.contains("suite-1"), "{} does not carry the token of its set", snapshot.id);
        assert_eq!((&snapshot.region, &snapshot.tags), (&machine.region, &tags("suite-1")));
        assert_eq!(snapshot.size, rig.cloud.disk(&snapshot.disk).expect("there").size);
        let is_one = snapshot.captured == set[0].captured || !rig.cloud.abilities().consistent_sets;
        assert!(is_one, "a set that promises one instant has {} and {}", set[0].captured, snapshot.captured);
    }
    let set: Vec<DiskSnapshot> = set.iter().map(|snapshot| rig.complete(&snapshot.id)).collect();
    let again = rig.capture("suite-1").expect("the same token finds the set");
    assert_eq!(again, set, "a repeated capture made another set");
    let listed = rig.cloud.snapshots(&machine.region).expect("listed");
    assert!(set.iter().all(|made| listed.contains(made)), "what was made is not listed");
    let mut sorted = listed.clone();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(listed, sorted, "lists are in the order of ids");
    set
}

fn restored(rig: &Rig<'_>, machine: &Machine, set: &[DiskSnapshot], before: &[[u8; 32]]) {
    for (number, (snapshot, digest)) in set.iter().zip(before).enumerate() {
        let name = format!("suite-disk-{number}");
        let disk = rig.disk(snapshot, &name).expect("a disk of a complete snapshot");
        assert_eq!((&disk.machine, &disk.made_from), (&None, &Some(snapshot.id.clone())));
        assert_eq!((&disk.region, disk.size), (&snapshot.region, snapshot.size));
        assert_eq!(
            rig.disk(snapshot, &name).expect("the same name finds it"),
            disk,
            "a repeated call made another disk"
        );
        assert!((rig.digest)(&disk.id) == *digest, "{} is not what {} was when captured", disk.id, snapshot.disk);
        assert!((rig.digest)(&snapshot.disk) != *digest, "the suite's own write did not change the disk");
        (rig.write)(&disk.id);
        rig.cloud.delete_disk(&disk.id).expect("it belongs to no machine");
        is_unknown("a deleted disk", rig.cloud.disk(&disk.id));
        let fresh = rig.disk(snapshot, &name).expect("the name is free again");
        assert!((rig.digest)(&fresh.id) == *digest, "writing to a disk changed the snapshot it was made from");
        rig.cloud.delete_disk(&fresh.id).expect("it belongs to no machine");
    }
    is_conflict("deleting a disk in use", rig.cloud.delete_disk(&machine.disks[0]));
}

fn copied(rig: &Rig<'_>, machine: &Machine, first: &[DiskSnapshot]) {
    let second = rig.capture("suite-2").expect("a second set");
    let third = rig.capture("suite-3").expect("a third set");
    for snapshot in second.iter().chain(&third) {
        rig.complete(&snapshot.id);
    }
    let (first, second, third) = (&first[0], &second[0], &third[0]);
    assert!(first.captured <= second.captured && second.captured <= third.captured, "captures in their order");
    let one = rig.copy(first, "suite-copy-1").expect("begun");
    assert_eq!((&one.region, &one.disk, one.captured), (&rig.far, &first.disk, first.captured));
    assert_eq!((&one.copied_from, &one.tags), (&Some(first.id.clone()), &tags("suite-copy-1")));
    if !rig.cloud.snapshot(&one.id).expect("there").is_complete() {
        is_conflict("two copies of one disk at a time", rig.copy(second, "suite-copy-2"));
        is_conflict("a disk of an incomplete copy", rig.disk(&one, "suite-early"));
        let again = rig.copy(first, "suite-copy-1").expect("the same name finds the copy under way");
        assert_eq!(again.id, one.id, "a repeated call began another copy");
    }
    let one = rig.complete(&one.id);
    is_conflict("a name that belongs to another copy", rig.copy(second, "suite-copy-1"));
    let three = rig.copy(third, "suite-copy-3").expect("one may be passed over");
    rig.complete(&three.id);
    is_conflict("copying what is older than what is there", rig.copy(second, "suite-copy-2"));
    let there = rig.cloud.snapshots(&rig.far).expect("listed");
    assert!(there.iter().any(|snapshot| snapshot.id == one.id), "a copy is not listed in its region");
    assert!(!rig.cloud.snapshots(&machine.region).expect("listed").iter().any(|s| s.id == one.id), "listed in another");
    // The original may go: a copy stands by itself.
    let (name, bytes) = ("suite-source", rig.disk(first, "suite-source").expect("complete"));
    let digest = (rig.digest)(&bytes.id);
    rig.cloud.delete_disk(&bytes.id).expect("it belongs to no machine");
    rig.cloud.delete_snapshot(&first.id).expect("nothing protects it");
    is_unknown("a copy of a deleted snapshot", rig.copy(first, "suite-copy-4"));
    let disk = rig.disk(&one, name).expect("a disk of a complete copy");
    assert_eq!(disk.region, rig.far, "a disk comes to be where its snapshot is");
    assert!((rig.digest)(&disk.id) == digest, "the copy holds other bytes than its source");
    rig.cloud.delete_disk(&disk.id).expect("it belongs to no machine");
}

fn deleted(rig: &Rig<'_>, machine: &Machine) {
    for region in [&machine.region, &rig.far] {
        for snapshot in rig.cloud.snapshots(region).expect("listed") {
            if snapshot.tags.contains_key("suite") {
                rig.cloud.delete_snapshot(&snapshot.id).expect("nothing protects it");
                rig.cloud.delete_snapshot(&snapshot.id).expect("one that is gone is fine");
                is_unknown("a deleted snapshot", rig.cloud.snapshot(&snapshot.id));
            }
        }
        let left = rig.cloud.snapshots(region).expect("listed");
        assert!(!left.iter().any(|snapshot| snapshot.tags.contains_key("suite")), "deleted and still listed");
    }
    let disks = rig.cloud.disks().expect("listed");
    assert!(!disks.iter().any(|disk| disk.tags.contains_key("suite")), "deleted and still listed");
    assert!(
        machine.disks.iter().all(|id| disks.iter().any(|disk| &disk.id == id)),
        "the machine's own disks are there"
    );
}
