//! What must not hold one another, by real paths. The configuration compares what is written; a symbolic link above a
//! vault or a workload can still lead one into the other, and a backup that holds its own vault grows with every run.

use std::path::{Path, PathBuf};

use backstop_model::config::{Config, VaultConfig, Workload, WorkloadKind};
use backstop_model::{Advice, ExitCode, Fault, VaultName};
use backstop_seams::Files;

/// No vault and not the state directory inside a path of the workload, and no path inside one of them.
///
/// # Errors
/// A fault of the configuration that names both, as written and as they really stand.
pub(crate) fn workload(files: &dyn Files, config: &Config, workload: &Workload) -> Result<(), Fault> {
    let WorkloadKind::Files(spec) = &workload.kind;
    for path in &spec.paths {
        // A root that is itself a link is backed up as that link, and what it leads to is not read.
        let real_path = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => real(files, parent).join(name),
            _ => path.clone(),
        };
        let vaults =
            config.vaults.values().filter_map(|vault| Some((format!("vault `{}`", vault.name), dir_of(vault)?)));
        let state = ("the state directory".to_owned(), config.state_dir.clone());
        for (what, ours) in vaults.chain([state]) {
            let real_ours = real(files, &ours);
            if real_path.starts_with(&real_ours) {
                let message = format!("{} lies inside {what} ({})", told(path, &real_path), told(&ours, &real_ours));
                return Err(fault(message, "a backup cannot protect the place it is kept in".to_owned()));
            }
            let Ok(below) = real_ours.strip_prefix(&real_path) else { continue };
            let as_listed = path.join(below);
            if !backstop_config::is_excluded(spec, path, &as_listed) {
                let message = format!(
                    "{} contains {what} ({}), which would back up itself",
                    told(path, &real_path),
                    told(&ours, &real_ours)
                );
                let hint = format!("move it elsewhere, or leave it out: `exclude = [\"{}\"]`", as_listed.display());
                return Err(fault(message, hint));
            }
        }
    }
    Ok(())
}

/// No vault is another, or stands in another: what one prune removes would be the other's.
///
/// # Errors
/// A fault of the configuration that names both.
pub(crate) fn vault(files: &dyn Files, config: &Config, name: &VaultName) -> Result<(), Fault> {
    let Some(dir) = config.vaults.get(name).and_then(dir_of) else { return Ok(()) };
    let here = real(files, &dir);
    for (other_name, other) in config.vaults.iter().filter(|(other, _)| *other != name) {
        let Some(other_dir) = dir_of(other) else { continue };
        let there = real(files, &other_dir);
        let how = match (here == there, here.starts_with(&there), there.starts_with(&here)) {
            (true, ..) => "is the same directory as",
            (_, true, _) => "lies inside",
            (.., true) => "contains",
            _ => continue,
        };
        let message =
            format!("vault `{name}` ({}) {how} vault `{other_name}` ({})", told(&dir, &here), told(&other_dir, &there));
        let (code, advice) = (ExitCode::BadConfiguration, Advice::FixConfiguration);
        return Err(Fault::new(code, advice, message, "give each vault a directory of its own"));
    }
    Ok(())
}

fn fault(message: String, hint: String) -> Fault {
    Fault::new(ExitCode::BadConfiguration, Advice::FixConfiguration, message, hint)
}

fn dir_of(vault: &VaultConfig) -> Option<PathBuf> {
    vault.url.strip_prefix("file://").map(PathBuf::from)
}

/// What cannot be looked at is taken as written: whoever needs it will be told why.
fn real(files: &dyn Files, path: &Path) -> PathBuf {
    files.real(path).unwrap_or_else(|_| path.to_owned())
}

fn told(written: &Path, real: &Path) -> String {
    match written == real {
        true => format!("`{}`", written.display()),
        false => format!("`{}`, which is really `{}`", written.display(), real.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;
    use crate::fixture::{Shelf, context};

    fn linked(links: &[(&str, &str)]) -> (Context, Shelf) {
        let (ctx, shelf) = context();
        for (link, target) in links {
            shelf.write(Path::new(&format!("{link}@")), target.as_bytes(), 0o600).expect("in memory");
        }
        (ctx, shelf)
    }

    fn checked(links: &[(&str, &str)], exclude: &[&str]) -> Result<(), Fault> {
        let (ctx, shelf) = linked(links);
        let mut docs = ctx.workload(&"docs".parse().expect("valid")).expect("known").clone();
        let WorkloadKind::Files(spec) = &mut docs.kind;
        spec.exclude = exclude.iter().map(|glob| (*glob).to_owned()).collect();
        workload(&shelf, &ctx.config, &docs)
    }

    #[test]
    fn a_vault_that_a_link_leads_into_a_protected_path_is_refused_unless_it_is_left_out() {
        checked(&[], &[]).expect("apart as they are written");
        let inside = [("/srv/main", "/home/docs/hidden/main")];
        let fault = checked(&inside, &[]).expect_err("it would back up itself");
        assert_eq!(fault.code, ExitCode::BadConfiguration);
        assert_eq!(
            fault.message,
            "`/home/docs` contains vault `main` (`/srv/main`, which is really \
             `/home/docs/hidden/main`), which would back up itself"
        );
        checked(&inside, &["hidden"]).expect("left out");
        // The other way round: the link is above what is protected.
        let fault = checked(&[("/home", "/mnt/offsite")], &[]).expect_err("inside a vault");
        assert!(fault.message.contains("lies inside vault `offsite`"), "{fault}");
        assert!(checked(&[("/home", "/var/lib/backstop/x")], &[]).is_err(), "inside the state directory");
    }

    #[test]
    fn a_root_that_is_a_link_itself_is_not_read_beyond_it() {
        checked(&[("/home/docs", "/srv/main")], &[]).expect("only the link is backed up");
    }

    #[test]
    fn two_names_of_one_vault_are_refused() {
        let looked = |links: &[(&str, &str)]| {
            let (ctx, shelf) = linked(links);
            vault(&shelf, &ctx.config, &"offsite".parse().expect("valid"))
        };
        looked(&[]).expect("apart");
        for (target, how) in
            [("/srv/main", "is the same directory as"), ("/srv/main/x", "lies inside"), ("/srv", "contains")]
        {
            let fault = looked(&[("/mnt/offsite", target)]).expect_err(target);
            assert!(fault.message.contains(how), "{fault}");
        }
    }
}
