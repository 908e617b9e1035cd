//! All files together: names that must exist, places that must differ, paths that must not hold one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backstop_model::Span;
use backstop_model::config::{
    Config, Daily, Monthly, Schedule, SecretRef, VaultConfig, Weekly, Workload, WorkloadKind,
};
use backstop_model::name::{Place, PolicyName, Region, ScheduleName, SignerName, VaultName};
use backstop_model::policy::{PolicyConfig, SignerConfig};

use crate::draft::{
    DEFAULT_DAILY, DEFAULT_MONTHLY, DEFAULT_VERIFY, DEFAULT_WEEKLY, Draft, Objectives, PolicyDraft, ScheduleDraft,
    WorkloadDraft,
};
use crate::problem::{At, Sources, Spot};
use crate::{Overrides, paths, suggest};

/// Resolves defaults and overrides and compares everything with everything. When something is wrong it is reported
/// to `sources` and the result is not to be used.
pub(crate) fn resolve(draft: &Draft, overrides: &Overrides, sources: &Sources<'_>) -> Config {
    let check = Check { draft, sources };
    let state_dir = match (&overrides.state_dir, &draft.state_dir) {
        (Some(path), _) => path.clone(),
        (None, Some(spot)) => spot.value.clone(),
        (None, None) => PathBuf::from("/var/lib/backstop"),
    };
    check.vaults_stand_apart(&state_dir);
    let schedules: BTreeMap<ScheduleName, Schedule> =
        draft.schedules.iter().filter_map(|(name, spot)| Some((name.clone(), check.schedule(name, spot)?))).collect();
    let workloads = draft.workloads.iter().filter_map(|(name, spot)| {
        check.paths_stand_apart(&spot.value, &state_dir);
        let schedule = check.workload_schedule(name.as_str(), spot, &schedules)?;
        let workload = Workload {
            name: name.clone(),
            kind: WorkloadKind::Files(spot.value.spec.clone()),
            schedule,
            enabled: spot.value.enabled,
            health: spot.value.health.clone(),
            origin: sources.files[spot.at.file].path.clone(),
        };
        Some((name.clone(), workload))
    });
    let workloads = workloads.collect();
    let vaults = draft.vaults.iter().map(|(name, spot)| {
        let vault = VaultConfig {
            name: name.clone(),
            url: format!("file://{}", spot.value.url.value.display()),
            region: spot.value.region.clone(),
            key: spot.value.key.value.clone(),
        };
        (name.clone(), vault)
    });
    let vaults = vaults.collect();
    let limits = draft.limits.as_ref().map(|spot| spot.value).unwrap_or_default();
    Config { state_dir, vaults, schedules, workloads, policies: check.policies(), signers: signers(draft), limits }
}

fn signers(draft: &Draft) -> BTreeMap<SignerName, SignerConfig> {
    let signer = |(name, spot): (&SignerName, &Spot<String>)| {
        (name.clone(), SignerConfig { name: name.clone(), public_key: spot.value.clone() })
    };
    draft.signers.iter().map(signer).collect()
}

struct Check<'c> {
    draft: &'c Draft,
    sources: &'c Sources<'c>,
}

impl Check<'_> {
    fn report(&self, at: At, message: impl Into<String>, hint: impl Into<String>) {
        self.sources.report(at, message, hint);
    }

    /// Policies as bound; each signer they name exists.
    fn policies(&self) -> BTreeMap<PolicyName, PolicyConfig> {
        let policies = self.draft.policies.iter().map(|(name, spot)| {
            let PolicyDraft { component, sha256, signer, world, .. } = &spot.value;
            if let Some(signer) = signer.as_ref().filter(|signer| !self.draft.signers.contains_key(&signer.value)) {
                let known: Vec<&str> = self.draft.signers.keys().map(SignerName::as_str).collect();
                let hint = match known.as_slice() {
                    [] => format!("add `[signer.{}]` with its `public_key`", signer.value),
                    _ => suggest::hint(signer.value.as_str(), known),
                };
                self.report(signer.at, format!("there is no signer `{}`", signer.value), hint);
            }
            let policy = PolicyConfig {
                name: name.clone(),
                component: component.clone(),
                sha256: sha256.clone(),
                signer: signer.as_ref().map(|signer| signer.value.clone()),
                world: *world,
                applies_to: spot.value.applies_to.clone(),
                mode: spot.value.mode,
                settings: spot.value.settings.clone(),
                grants: spot.value.grants.clone(),
                limits: spot.value.limits,
                promises: spot.value.promises.clone(),
                origin: self.sources.files[spot.at.file].path.clone(),
            };
            (name.clone(), policy)
        });
        policies.collect()
    }

    /// No vault in another, none holding the state directory, no key file among the bytes it opens.
    fn vaults_stand_apart(&self, state_dir: &Path) {
        let vaults: Vec<_> = self.draft.vaults.iter().map(|(name, spot)| (name, &spot.value)).collect();
        for (index, (name, vault)) in vaults.iter().enumerate() {
            let path = &vault.url.value;
            for (other_name, other) in &vaults[..index] {
                if paths::overlap(path, &other.url.value) {
                    let how = match (path == &other.url.value, path.starts_with(&other.url.value)) {
                        (true, _) => "is the same directory as",
                        (false, true) => "lies inside",
                        (false, false) => "contains",
                    };
                    let place = self.sources.place(other.url.at);
                    let message = format!("vault `{name}` {how} vault `{other_name}` ({place})");
                    self.report(vault.url.at, message, "give each vault a directory of its own");
                }
            }
            if state_dir.starts_with(path) {
                let message = format!("the state directory `{}` lies inside vault `{name}`", state_dir.display());
                self.report(vault.url.at, message, "a vault holds nothing but its own objects");
            }
            if let SecretRef::File(key) = &vault.key.value
                && let Some((holder, _)) = vaults.iter().find(|(_, v)| key.starts_with(&v.url.value))
            {
                let message = format!("the key of vault `{name}` lies inside vault `{holder}`");
                self.report(vault.key.at, message, "whoever finds the vault would find its key: keep them apart");
            }
        }
    }

    /// Paths of a workload do not hold one another, nor a vault or the state directory, nor lie in one.
    fn paths_stand_apart(&self, workload: &WorkloadDraft, state_dir: &Path) {
        let protected: Vec<(&PathBuf, At)> =
            workload.spec.paths.iter().zip(workload.path_spots.iter().copied()).collect();
        for (index, (path, at)) in protected.iter().enumerate() {
            if let Some((other, _)) = protected[..index].iter().find(|(other, _)| paths::overlap(path, other)) {
                let message = match path == other {
                    true => format!("`{}` is listed twice", path.display()),
                    false => format!("`{}` and `{}` hold one another", path.display(), other.display()),
                };
                self.report(*at, message, "name the outer one only");
            }
            for (name, vault) in &self.draft.vaults {
                self.apart_from(workload, path, *at, &vault.value.url.value, &format!("vault `{name}`"));
            }
            self.apart_from(workload, path, *at, state_dir, "the state directory");
        }
    }

    fn apart_from(&self, workload: &WorkloadDraft, path: &Path, at: At, ours: &Path, what: &str) {
        let (path_shown, ours_shown) = (path.display(), ours.display());
        if path.starts_with(ours) {
            let message = format!("`{path_shown}` lies inside {what} (`{ours_shown}`)");
            self.report(at, message, "a backup cannot protect the place it is kept in");
        } else if ours.starts_with(path) && !paths::is_excluded(&workload.spec, path, ours) {
            let message = format!("`{path_shown}` contains {what} (`{ours_shown}`), which would back up itself");
            let pattern = globset::escape(&ours_shown.to_string());
            self.report(at, message, format!("move it elsewhere, or leave it out: `exclude = [\"{pattern}\"]`"));
        }
    }

    fn schedule(&self, name: &ScheduleName, spot: &Spot<ScheduleDraft>) -> Option<Schedule> {
        let draft = &spot.value;
        if draft.daily.is_none() && draft.weekly.is_none() && draft.monthly.is_none() {
            let message = format!("schedule `{name}` keeps no tier");
            self.report(spot.at, message, "add one, as in `daily = { at = \"02:00\", keep = 7 }`");
            return None;
        }
        let home = match &draft.objectives.home {
            Some(home) => home.value.clone(),
            None => self.only_vault(name, spot.at)?,
        };
        let mut schedule = Schedule {
            name: name.clone(),
            timezone: "UTC".to_owned(),
            daily: draft.daily,
            weekly: draft.weekly,
            monthly: draft.monthly,
            rpo: Span::from_secs(24 * 3600),
            rto: Span::from_secs(15 * 60),
            home,
            copies: Vec::new(),
            verify: Some(DEFAULT_VERIFY),
            dr_test: None,
            full_every: None,
        };
        self.places(&schedule.home, &draft.objectives, None);
        apply(&mut schedule, &draft.objectives);
        Some(schedule)
    }

    /// Where backups go when the schedule does not say: there must be no choice.
    fn only_vault(&self, name: &ScheduleName, at: At) -> Option<Place> {
        let mut names = self.draft.vaults.keys();
        match (names.next(), names.next()) {
            (Some(only), None) => Some(Place::Vault(only.clone())),
            (None, _) => {
                let hint = "add one: `[vault.main]` with `url`, `region` and `key`";
                self.report(at, format!("schedule `{name}` has nowhere to put backups: there is no vault"), hint);
                None
            }
            (Some(first), Some(_)) => {
                let message = format!("schedule `{name}` does not say which vault is home");
                self.report(at, message, format!("add `home = \"vault:{first}\"` or another vault"));
                None
            }
        }
    }

    fn workload_schedule(
        &self,
        name: &str,
        spot: &Spot<WorkloadDraft>,
        schedules: &BTreeMap<ScheduleName, Schedule>,
    ) -> Option<Schedule> {
        let draft = &spot.value;
        let known: Vec<&str> = self.draft.schedules.keys().map(ScheduleName::as_str).collect();
        let chosen = match (&draft.schedule, known.as_slice()) {
            (Some(chosen), _) if known.contains(&chosen.value.as_str()) => chosen.value.as_str(),
            (Some(chosen), _) => {
                let shown: String = chosen.value.escape_debug().take(80).collect();
                self.report(chosen.at, format!("there is no schedule `{shown}`"), suggest::hint(&chosen.value, known));
                return None;
            }
            (None, []) => {
                let hint = "add one: `[schedule.standard]` with `daily = { at = \"02:00\", keep = 7 }`";
                self.report(spot.at, format!("workload `{name}` has no schedule, and none is defined"), hint);
                return None;
            }
            (None, [only]) => only,
            (None, several) if several.contains(&"standard") => "standard",
            (None, several) => {
                let hint = format!("add `schedule = \"…\"`, one of {}", suggest::list(several));
                self.report(spot.at, format!("workload `{name}` does not say which schedule it follows"), hint);
                return None;
            }
        };
        // A schedule that is itself wrong was reported where it stands.
        let mut schedule = schedules.values().find(|schedule| schedule.name.as_str() == chosen)?.clone();
        if let Some(keep) = &draft.keep {
            let tiers = &keep.value;
            override_tier(&mut schedule.daily, tiers.daily, DEFAULT_DAILY, |tier, keep| Daily { keep, ..tier });
            override_tier(&mut schedule.weekly, tiers.weekly, DEFAULT_WEEKLY, |tier, keep| Weekly { keep, ..tier });
            override_tier(&mut schedule.monthly, tiers.monthly, DEFAULT_MONTHLY, |tier, keep| Monthly { keep, ..tier });
            if schedule.daily.is_none() && schedule.weekly.is_none() && schedule.monthly.is_none() {
                let message = format!("workload `{name}` turns off every tier of its schedule");
                self.report(keep.at, message, "leave one on; `enabled = false` pauses a workload");
            }
        }
        let home = draft.objectives.home.as_ref().map_or(&schedule.home, |home| &home.value);
        self.places(home, &draft.objectives, Some(&schedule));
        apply(&mut schedule, &draft.objectives);
        Some(schedule)
    }

    /// Home and copies exist, differ, and a copy stands in another region than home. `inherited` is the schedule
    /// whose places an override leaves in force.
    fn places(&self, home: &Place, written: &Objectives, inherited: Option<&Schedule>) {
        let home_region = match &written.home {
            Some(spot) => self.region(spot),
            None => home.vault().and_then(|name| self.region_of(name)),
        };
        let copies = match (&written.copies, inherited, &written.home) {
            (Some(copies), ..) => &copies.value,
            // Only home moved: the copies of the schedule must still suit it.
            (None, Some(schedule), Some(moved)) => {
                let clash = schedule.copies.iter().find(|place| match place {
                    _ if *place == home => true,
                    Place::Vault(name) => home_region.is_some() && self.region_of(name) == home_region,
                    Place::Region(_) => false,
                });
                if let Some(place) = clash {
                    let message =
                        format!("`{home}` cannot be home: the schedule copies to `{place}`, in the same region");
                    self.report(moved.at, message, "say `copies` here as well, with places in other regions");
                }
                return;
            }
            (None, ..) => return,
        };
        for (index, copy) in copies.iter().enumerate() {
            let place = &copy.value;
            let Some(region) = self.region(copy) else { continue };
            if place == home {
                let message = format!("`{place}` is home itself, not a copy");
                self.report(copy.at, message, "name a vault in another region, or leave `copies` out");
            } else if copies[..index].iter().any(|earlier| earlier.value == *place) {
                self.report(copy.at, format!("`{place}` is listed twice"), "");
            } else if home_region.as_ref() == Some(&region) {
                let message = format!("`{place}` stands in region `{region}`, as home `{home}` does");
                let hint = "a copy there would be lost together with home: name a vault in another region";
                self.report(copy.at, message, hint);
            }
        }
    }

    /// The region of a place; a place that does not exist is reported.
    fn region(&self, spot: &Spot<Place>) -> Option<Region> {
        match &spot.value {
            Place::Region(_) => {
                let message = format!("`{}` is a region of a cloud, and no cloud is in this build", spot.value);
                self.report(spot.at, message, "name a vault, as in `vault:offsite`");
                None
            }
            Place::Vault(name) => {
                let region = self.region_of(name);
                if region.is_none() {
                    let known = self.draft.vaults.keys().map(VaultName::as_str);
                    self.report(spot.at, format!("there is no vault `{name}`"), suggest::hint(name.as_str(), known));
                }
                region
            }
        }
    }

    fn region_of(&self, vault: &VaultName) -> Option<Region> {
        self.draft.vaults.get(vault).map(|spot| spot.value.region.clone())
    }
}

fn override_tier<T: Copy>(tier: &mut Option<T>, keep: Option<Option<u32>>, default: T, with: fn(T, u32) -> T) {
    match keep {
        None => {}
        Some(None) => *tier = None,
        Some(Some(keep)) => *tier = Some(with(tier.unwrap_or(default), keep)),
    }
}

fn apply(schedule: &mut Schedule, written: &Objectives) {
    if let Some(timezone) = &written.timezone {
        schedule.timezone.clone_from(timezone);
    }
    schedule.rpo = written.rpo.unwrap_or(schedule.rpo);
    schedule.rto = written.rto.unwrap_or(schedule.rto);
    if let Some(home) = &written.home {
        schedule.home = home.value.clone();
    }
    if let Some(copies) = &written.copies {
        schedule.copies = copies.value.iter().map(|spot| spot.value.clone()).collect();
    }
    schedule.verify = written.verify.unwrap_or(schedule.verify);
    schedule.dr_test = written.dr_test.unwrap_or(schedule.dr_test);
    schedule.full_every = written.full_every.unwrap_or(schedule.full_every);
}
