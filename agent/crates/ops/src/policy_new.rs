//! `policy new`: a project that builds a policy, from the templates built into the program.

use std::path::{Path, PathBuf};

use backstop_model::Fault;
use backstop_model::policy::World;
use serde::Serialize;

use crate::context::Outside;

include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The languages there are templates for.
pub const LANGUAGES: [&str; 4] = ["rust", "js", "python", "c"];

/// A project that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// Where.
    pub dir: PathBuf,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// Commands that build and try it, in order.
    pub commands: Vec<String>,
}

/// Makes a project.
///
/// # Errors
/// A directory that is not empty; a language without a template for that world.
pub fn make(outside: &Outside, language: &str, world: World, dir: &Path) -> Result<Made, Fault> {
    let ours = |path: &str| -> Option<PathBuf> {
        let (first, rest) = path.split_once('/')?;
        match first {
            "wit" => Some(Path::new("wit").join(rest)),
            "cases" => rest.strip_prefix(world.word())?.strip_prefix('/').map(|name| Path::new("cases").join(name)),
            _ if first == language => {
                let (part, rest) = rest.split_once('/')?;
                (part == "project" || part == world.word()).then(|| PathBuf::from(rest))
            }
            _ => None,
        }
    };
    let special = format!("{language}/{}/", world.word());
    if !TEMPLATES.iter().any(|(path, ..)| path.starts_with(&special)) {
        let known: Vec<String> = World::ALL
            .iter()
            .flat_map(|world| LANGUAGES.map(|language| (language, world.word())))
            .filter(|(language, world)| {
                TEMPLATES.iter().any(|(path, ..)| path.starts_with(&format!("{language}/{world}/")))
            })
            .map(|(language, world)| format!("--lang {language} --world {world}"))
            .collect();
        let message = format!("there is no template for {world} in {language}");
        return Err(Fault::usage(message, format!("there are: {}", known.join("; "))));
    }
    if !outside.files.list(dir)?.is_empty() {
        return Err(Fault::refused(
            format!("`{}` is not empty", dir.display()),
            "name a directory that does not exist",
        ));
    }
    let name = dir.file_name().map_or_else(|| "policy".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut files = Vec::new();
    for (path, bytes, mode) in TEMPLATES {
        let Some(inside) = ours(path) else { continue };
        let target = dir.join(&inside);
        let text = String::from_utf8_lossy(bytes).replace("{{name}}", &name);
        outside.files.write(&target, text.as_bytes(), *mode)?;
        files.push(inside);
    }
    files.sort();
    let shown = dir.display();
    let commands = vec![
        format!("cd {shown}"),
        "./build".to_owned(),
        "backstop policy inspect policy.wasm".to_owned(),
        "backstop policy test .".to_owned(),
    ];
    Ok(Made { dir: dir.to_owned(), files, commands })
}
