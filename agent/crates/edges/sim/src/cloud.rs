//! A cloud with machines whose disks change, native snapshots, and copies between regions that take their time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use backstop_model::{Bytes, Region, Span};
use backstop_seams::cloud::{
    Abilities, CaptureRequest, Cloud, CloudFault, CopyRequest, Disk, DiskId, DiskRequest, DiskSnapshot, Machine,
    MachineId, SnapshotRef,
};

use crate::UNPOISONED;
use crate::chance::Chance;
use crate::clock::SimClock;
use crate::weather::{Sky, Weather};

/// Most snapshots of one disk in a region.
pub const SNAPSHOTS_PER_DISK_MAX: u32 = 500;
/// How long to wait when there were too many calls.
const RETRY_AFTER: Span = Span::from_secs(30);
/// How long a capture takes.
const CAPTURE: Span = Span::from_secs(1);
/// What a block stands for.
const BLOCK: u64 = 1 << 20;
/// How long a copy takes before its first block, and for each that changed since the copy before.
const COPY_BEGINS: Span = Span::from_secs(60);
const COPY_BLOCK: Span = Span::from_secs(5);

/// A block is as good as its digest.
type Blocks = Arc<Vec<u64>>;

/// The cloud. Its calls meet the weather of their region.
pub struct SimCloud {
    clock: Arc<SimClock>,
    weather: Arc<Weather>,
    chance: Chance,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    regions: Vec<Region>,
    machines: BTreeMap<MachineId, Machine>,
    disks: BTreeMap<DiskId, (Disk, Blocks)>,
    snapshots: BTreeMap<SnapshotRef, Stored>,
    sets: BTreeMap<String, MachineId>,
    writes: u64,
}

struct Stored {
    shown: DiskSnapshot,
    blocks: Blocks,
    /// From when to when it is being copied, since the world began.
    copying: Option<(Span, Span)>,
}

impl Stored {
    fn at(&self, now: Span) -> DiskSnapshot {
        let percent = match self.copying {
            Some((from, to)) if now < to => {
                let (passed, whole) = (now.as_millis() - from.as_millis(), to.as_millis() - from.as_millis());
                u8::try_from(passed * 100 / whole.max(1)).unwrap_or(99).min(99)
            }
            Some(_) | None => 100,
        };
        let percent = if self.shown.failed.is_some() { self.shown.percent } else { percent };
        DiskSnapshot { percent, ..self.shown.clone() }
    }
}

/// A call that got through.
struct Call<'a> {
    state: MutexGuard<'a, State>,
    now: Span,
    answer_lost: bool,
}

impl Call<'_> {
    fn answer<T>(self, value: T) -> Result<T, CloudFault> {
        if self.answer_lost { Err(outage("connection reset while waiting for the answer")) } else { Ok(value) }
    }
}

fn outage(detail: &str) -> CloudFault {
    CloudFault::Outage { detail: detail.to_owned() }
}

fn unknown(what: &str, id: &dyn std::fmt::Display) -> CloudFault {
    CloudFault::NotFound { what: format!("{what} `{id}`") }
}

fn conflict(detail: String) -> CloudFault {
    CloudFault::Conflict { detail }
}

impl SimCloud {
    pub(crate) fn new(clock: Arc<SimClock>, weather: Arc<Weather>, chance: Chance) -> Self {
        Self { clock, weather, chance, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    /// Adds a machine with disks of so many MiB in a region. Regions come to be with the first thing in them.
    pub fn add_machine(&self, name: &str, region: &Region, disks: &[u64]) -> MachineId {
        let id = MachineId(format!("vm/{name}"));
        let mut state = self.lock();
        add_region(&mut state, region);
        let mut machine = Machine { id: id.clone(), region: region.clone(), tags: BTreeMap::new(), disks: Vec::new() };
        for (number, blocks) in disks.iter().enumerate() {
            let mut dice = self.chance.of(&format!("disk {name} {number}"));
            let blocks: Vec<u64> = (0..*blocks).map(|_| dice.next()).collect();
            let disk = Disk {
                id: DiskId(format!("disk/{name}-{number}")),
                region: region.clone(),
                size: Bytes(blocks.len() as u64 * BLOCK),
                machine: Some(id.clone()),
                made_from: None,
                tags: BTreeMap::new(),
            };
            machine.disks.push(disk.id.clone());
            state.disks.insert(disk.id.clone(), (disk, Arc::new(blocks)));
        }
        state.machines.insert(id.clone(), machine);
        id
    }

    /// Adds a region with nothing in it.
    pub fn add_region(&self, region: &Region) {
        add_region(&mut self.lock(), region);
    }

    /// The machine writes to its disk: about a tenth of it changes.
    pub fn write(&self, disk: &DiskId) {
        let mut state = self.lock();
        state.writes += 1;
        let mut dice = self.chance.of(&format!("write {disk} {}", state.writes));
        if let Some((_, blocks)) = state.disks.get_mut(disk) {
            let blocks = Arc::make_mut(blocks);
            for _ in 0..=blocks.len() / 10 {
                let at = usize::try_from(dice.below(blocks.len() as u64)).unwrap_or(0);
                if let Some(block) = blocks.get_mut(at) {
                    *block = dice.next();
                }
            }
        }
    }

    /// A digest of a disk's bytes; of nothing when there is no such disk.
    #[must_use]
    pub fn digest(&self, disk: &DiskId) -> [u8; 32] {
        let state = self.lock();
        let mut hasher = blake3::Hasher::new();
        if let Some((_, blocks)) = state.disks.get(disk) {
            for block in blocks.iter() {
                hasher.update(&block.to_le_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }

    fn call(&self, region: &str, what: &str) -> Result<Call<'_>, CloudFault> {
        let now = self.clock.passed();
        let answer_lost = match self.weather.look(region, what, now) {
            Sky::Clear => false,
            Sky::AnswerLost => true,
            Sky::Outage => return Err(outage("connection refused")),
            Sky::Error => return Err(outage("500 internal error")),
            Sky::Throttled => return Err(CloudFault::Throttled { retry_after: RETRY_AFTER }),
        };
        Ok(Call { state: self.lock(), now, answer_lost })
    }

    /// Where a call about a snapshot goes.
    fn home_of(&self, id: &SnapshotRef) -> Result<Region, CloudFault> {
        let state = self.lock();
        state.snapshots.get(id).map(|stored| stored.shown.region.clone()).ok_or_else(|| unknown("snapshot", id))
    }
}

fn add_region(state: &mut State, region: &Region) {
    if !state.regions.contains(region) {
        state.regions.push(region.clone());
        state.regions.sort();
    }
}

fn within_quota(state: &State, disk: &DiskId, region: &Region) -> Result<(), CloudFault> {
    let known = state.snapshots.values().filter(|s| &s.shown.disk == disk && &s.shown.region == region).count();
    if known < SNAPSHOTS_PER_DISK_MAX as usize {
        return Ok(());
    }
    Err(CloudFault::Quota { detail: format!("{SNAPSHOTS_PER_DISK_MAX} snapshots of `{disk}` in `{region}`") })
}

impl Cloud for SimCloud {
    fn abilities(&self) -> Abilities {
        Abilities {
            regions: self.lock().regions.clone(),
            consistent_sets: true,
            incremental: true,
            snapshots_per_disk_max: SNAPSHOTS_PER_DISK_MAX,
            tag_value_max: 256,
        }
    }

    fn machines(&self) -> Result<Vec<Machine>, CloudFault> {
        let call = self.call("cloud", "machines")?;
        let machines = call.state.machines.values().cloned().collect();
        call.answer(machines)
    }

    fn disk(&self, id: &DiskId) -> Result<Disk, CloudFault> {
        let call = self.call("cloud", &format!("disk {id}"))?;
        let disk = call.state.disks.get(id).map(|(disk, _)| disk.clone()).ok_or_else(|| unknown("disk", id))?;
        call.answer(disk)
    }

    fn disks(&self) -> Result<Vec<Disk>, CloudFault> {
        let call = self.call("cloud", "disks")?;
        let disks = call.state.disks.values().map(|(disk, _)| disk.clone()).collect();
        call.answer(disks)
    }

    fn capture(&self, request: &CaptureRequest) -> Result<Vec<DiskSnapshot>, CloudFault> {
        let machine = self.lock().machines.get(&request.machine).cloned();
        let machine = machine.ok_or_else(|| unknown("machine", &request.machine))?;
        let region = machine.region.clone();
        let mut call = self.call(region.as_str(), &format!("capture {}", request.token))?;
        let (now, captured) = (call.now, self.clock.truth());
        let state = &mut *call.state;
        let id_of = |disk: &DiskId| SnapshotRef(format!("{region}/{}-{}", request.token, disk.0.replace('/', "-")));
        let known = machine.disks.iter().filter(|disk| state.snapshots.contains_key(&id_of(disk))).count();
        match state.sets.get(&request.token) {
            Some(other) if other != &machine.id => {
                return Err(conflict(format!("`{}` is a set of `{other}`", request.token)));
            }
            Some(_) if known > 0 && known < machine.disks.len() => {
                return Err(conflict(format!("`{}` lost a part and cannot be of one instant again", request.token)));
            }
            Some(_) | None => {}
        }
        if known == 0 {
            for disk in &machine.disks {
                within_quota(state, disk, &region)?;
            }
            // No two sets are of one instant, so that their order is certain.
            self.clock.advance(CAPTURE);
            state.sets.insert(request.token.clone(), machine.id.clone());
            for disk in &machine.disks {
                let (shown, blocks) = state.disks.get(disk).expect("disks of machines are not deleted");
                let shown = DiskSnapshot {
                    id: id_of(disk),
                    region: region.clone(),
                    disk: disk.clone(),
                    captured,
                    size: shown.size,
                    percent: 100,
                    failed: None,
                    copied_from: None,
                    tags: request.tags.clone(),
                };
                let stored = Stored { shown, blocks: Arc::clone(blocks), copying: None };
                state.snapshots.insert(stored.shown.id.clone(), stored);
            }
        }
        let set = machine.disks.iter().filter_map(|disk| state.snapshots.get(&id_of(disk)));
        let set = set.map(|stored| stored.at(now)).collect();
        call.answer(set)
    }

    fn snapshot(&self, id: &SnapshotRef) -> Result<DiskSnapshot, CloudFault> {
        let region = self.home_of(id)?;
        let call = self.call(region.as_str(), &format!("snapshot {id}"))?;
        let stored = call.state.snapshots.get(id).ok_or_else(|| unknown("snapshot", id))?;
        let shown = stored.at(call.now);
        call.answer(shown)
    }

    fn snapshots(&self, region: &Region) -> Result<Vec<DiskSnapshot>, CloudFault> {
        if !self.lock().regions.contains(region) {
            return Err(unknown("region", region));
        }
        let call = self.call(region.as_str(), "snapshots")?;
        let here = call.state.snapshots.values().filter(|stored| &stored.shown.region == region);
        let here = here.map(|stored| stored.at(call.now)).collect();
        call.answer(here)
    }

    fn start_copy(&self, request: &CopyRequest) -> Result<DiskSnapshot, CloudFault> {
        if !self.lock().regions.contains(&request.to) {
            return Err(unknown("region", &request.to));
        }
        let mut call = self.call(request.to.as_str(), &format!("copy {}", request.name))?;
        let now = call.now;
        let state = &mut *call.state;
        let id = SnapshotRef(format!("{}/{}", request.to, request.name));
        if let Some(known) = state.snapshots.get(&id) {
            if known.shown.copied_from.as_ref() != Some(&request.from) {
                return Err(conflict(format!("`{id}` is something else")));
            }
            let shown = known.at(now);
            return call.answer(shown);
        }
        let source = state.snapshots.get(&request.from).ok_or_else(|| unknown("snapshot", &request.from))?;
        let shown = source.at(now);
        if !shown.is_complete() {
            return Err(conflict(format!("`{}` is not complete", request.from)));
        }
        let there =
            |s: &&Stored| s.shown.disk == shown.disk && s.shown.region == request.to && s.shown.copied_from.is_some();
        let latest = state.snapshots.values().filter(there).max_by_key(|s| s.shown.captured);
        if let Some(latest) = latest {
            let is_busy = latest.shown.failed.is_none() && latest.at(now).percent < 100;
            if is_busy {
                return Err(conflict(format!("`{}` is being copied", latest.shown.id)));
            }
            if latest.shown.captured > shown.captured && latest.shown.failed.is_none() {
                return Err(conflict(format!("`{}` is later and was copied already", latest.shown.id)));
            }
        }
        within_quota(state, &shown.disk, &request.to)?;
        let blocks = Arc::clone(&source.blocks);
        let changed = match latest {
            Some(latest) => latest.blocks.iter().zip(blocks.iter()).filter(|(a, b)| a != b).count(),
            None => blocks.len(),
        };
        let length = COPY_BEGINS.as_millis() + COPY_BLOCK.as_millis() * changed as u64;
        let shown = DiskSnapshot {
            id: id.clone(),
            region: request.to.clone(),
            percent: 0,
            copied_from: Some(request.from.clone()),
            tags: request.tags.clone(),
            ..shown
        };
        let copying = Some((now, Span::from_millis(now.as_millis() + length)));
        state.snapshots.insert(id, Stored { shown: shown.clone(), blocks, copying });
        call.answer(shown)
    }

    fn delete_snapshot(&self, id: &SnapshotRef) -> Result<(), CloudFault> {
        let Ok(region) = self.home_of(id) else { return Ok(()) };
        let mut call = self.call(region.as_str(), &format!("delete {id}"))?;
        let now = call.now;
        call.state.snapshots.remove(id);
        for copy in call.state.snapshots.values_mut().filter(|s| s.shown.copied_from.as_ref() == Some(id)) {
            let shown = copy.at(now);
            if !shown.is_complete() {
                copy.shown = DiskSnapshot { failed: Some("the source of the copy was deleted".into()), ..shown };
            }
        }
        call.answer(())
    }

    fn make_disk(&self, request: &DiskRequest) -> Result<Disk, CloudFault> {
        let region = self.home_of(&request.from)?;
        let mut call = self.call(region.as_str(), &format!("make disk {}", request.name))?;
        let now = call.now;
        let state = &mut *call.state;
        let id = DiskId(format!("disk/{}", request.name));
        if let Some((known, _)) = state.disks.get(&id) {
            if known.made_from.as_ref() != Some(&request.from) {
                return Err(conflict(format!("`{id}` is something else")));
            }
            let known = known.clone();
            return call.answer(known);
        }
        let source = state.snapshots.get(&request.from).ok_or_else(|| unknown("snapshot", &request.from))?;
        if !source.at(now).is_complete() {
            return Err(conflict(format!("`{}` is not complete", request.from)));
        }
        let disk = Disk {
            id: id.clone(),
            region,
            size: source.shown.size,
            machine: None,
            made_from: Some(request.from.clone()),
            tags: request.tags.clone(),
        };
        let blocks = Arc::clone(&source.blocks);
        state.disks.insert(id, (disk.clone(), blocks));
        call.answer(disk)
    }

    fn delete_disk(&self, id: &DiskId) -> Result<(), CloudFault> {
        let mut call = self.call("cloud", &format!("delete {id}"))?;
        if let Some(machine) = call.state.disks.get(id).and_then(|(disk, _)| disk.machine.clone()) {
            return Err(conflict(format!("`{id}` belongs to `{machine}`")));
        }
        call.state.disks.remove(id);
        call.answer(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weather::Climate;
    use crate::world::World;
    use backstop_seams::conformance::cloud::{Rig, cloud};

    fn region(name: &str) -> Region {
        name.parse().expect("valid")
    }

    fn world(climate: Climate) -> (Arc<World>, MachineId) {
        let world = World::new(1);
        world.weather().set_climate(climate);
        world.cloud().add_region(&region("far"));
        let machine = world.cloud().add_machine("web", &region("near"), &[40, 10]);
        (world, machine)
    }

    fn capture(world: &World, machine: &MachineId, token: &str) -> Result<Vec<DiskSnapshot>, CloudFault> {
        let request = CaptureRequest { machine: machine.clone(), token: token.into(), tags: BTreeMap::new() };
        world.cloud().capture(&request)
    }

    fn copy(world: &World, from: &DiskSnapshot, name: &str) -> Result<DiskSnapshot, CloudFault> {
        let (from, to, tags) = (from.id.clone(), region("far"), BTreeMap::new());
        world.cloud().start_copy(&CopyRequest { from, to, name: name.into(), tags })
    }

    #[test]
    fn the_simulated_cloud_keeps_the_contract_of_clouds() {
        let (world, machine) = world(Climate::CALM);
        cloud(&Rig {
            cloud: &**world.cloud(),
            machine,
            far: region("far"),
            write: &|disk| world.cloud().write(disk),
            digest: &|disk| world.cloud().digest(disk),
            wait: &|| world.clock().advance(Span::from_secs(20)),
        });
    }

    #[test]
    fn a_copy_takes_as_long_as_what_changed_and_fails_without_its_source() {
        let (world, machine) = world(Climate::CALM);
        let first = capture(&world, &machine, "s1").expect("captured");
        let one = copy(&world, &first[0], "c1").expect("begun");
        world.clock().advance(Span::from_secs(130));
        assert_eq!(world.cloud().snapshot(&one.id).expect("there").percent, 50, "40 blocks, 260 seconds");
        world.clock().advance(Span::from_secs(130));
        assert!(world.cloud().snapshot(&one.id).expect("there").is_complete());
        world.cloud().write(&first[0].disk);
        let second = capture(&world, &machine, "s2").expect("captured");
        let two = copy(&world, &second[0], "c2").expect("begun");
        world.clock().advance(Span::from_secs(85));
        assert!(world.cloud().snapshot(&two.id).expect("there").is_complete(), "five blocks changed");
        world.cloud().write(&first[0].disk);
        let third = capture(&world, &machine, "s3").expect("captured");
        let three = copy(&world, &third[0], "c3").expect("begun");
        world.cloud().delete_snapshot(&third[0].id).expect("nothing protects it");
        world.clock().advance(Span::from_days(1));
        let failed = world.cloud().snapshot(&three.id).expect("there");
        assert!(failed.failed.is_some() && !failed.is_complete(), "{failed:?}");
    }

    #[test]
    fn a_lost_answer_hides_a_capture_that_the_same_token_finds() {
        let (world, machine) = world(Climate { error_calls: 2, throttle_calls: 5, ..Climate::CALM });
        let (mut hidden, mut throttled) = (0, 0);
        for number in 0..40 {
            let token = format!("s{number}");
            let first = capture(&world, &machine, &token);
            throttled += usize::from(matches!(first, Err(CloudFault::Throttled { .. })));
            if first.is_err() {
                world.weather().pause(true);
                let before = world.cloud().snapshots(&region("near")).expect("calm");
                let known = before.iter().filter(|s| s.id.0.contains(&format!("/{token}-"))).count();
                hidden += usize::from(known == 2);
                assert!(known == 0 || known == 2, "a set is whole or not there");
                assert_eq!(capture(&world, &machine, &token).expect("calm").len(), 2);
                world.weather().pause(false);
            }
        }
        assert!(hidden > 3 && throttled > 3, "{hidden} hidden, {throttled} throttled");
    }

    #[test]
    fn the_five_hundred_and_first_snapshot_of_a_disk_is_refused_until_one_goes() {
        let (world, machine) = world(Climate::CALM);
        for number in 0..SNAPSHOTS_PER_DISK_MAX {
            capture(&world, &machine, &format!("s{number}")).expect("within the quota");
        }
        assert!(matches!(capture(&world, &machine, "more"), Err(CloudFault::Quota { .. })));
        for old in capture(&world, &machine, "s0").expect("found again") {
            world.cloud().delete_snapshot(&old.id).expect("nothing protects it");
        }
        capture(&world, &machine, "more").expect("there is room");
    }
}
