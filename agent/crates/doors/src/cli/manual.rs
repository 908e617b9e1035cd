//! `completions` and `man`.

use backstop_model::{Advice, ExitCode, Fault};

use super::Wiring;
use super::screen::Screen;
use super::tree::{self, GlobalOptions};

/// Prints completions.
pub fn completions(arguments: &tree::Completions, screen: &mut Screen) -> Result<ExitCode, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut tree::command(), "backstop", &mut script);
    screen.raw(&mut |out| out.write_all(&script));
    Ok(ExitCode::Ok)
}

/// Prints the main page, or writes all of them.
pub fn man(
    arguments: &tree::Man,
    options: &GlobalOptions,
    wire: &dyn Wiring,
    screen: &mut Screen,
) -> Result<ExitCode, Fault> {
    let mut command = tree::command();
    command.build();
    let Some(dir) = &arguments.dir else {
        let page = page(&command, "backstop")?;
        screen.raw(&mut |out| out.write_all(&page));
        return Ok(ExitCode::Ok);
    };
    let outside = wire.outside(options)?;
    let mut pages = Vec::new();
    collect(&command, "backstop", &mut pages)?;
    for (name, page) in &pages {
        outside.files.write(&dir.join(format!("{name}.1")), page, 0o644)?;
    }
    screen.tell(&format!("wrote {} pages into {}", pages.len(), dir.display()));
    Ok(ExitCode::Ok)
}

fn collect(command: &clap::Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Fault> {
    pages.push((name.to_owned(), page(command, name)?));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        collect(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str) -> Result<Vec<u8>, Fault> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).render(&mut page).map_err(|error| {
        Fault::new(ExitCode::Failed, Advice::CallAPerson, format!("cannot render the page of {name}: {error}"), "")
    })?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_manual_page_with_its_exit_codes() {
        let mut command = tree::command();
        command.build();
        let mut pages = Vec::new();
        collect(&command, "backstop", &mut pages).expect("render");
        let (_, page) = pages.iter().find(|(name, _)| name == "backstop-backup-restore").expect("there");
        let text = String::from_utf8_lossy(page);
        assert!(text.contains("Exit codes") && text.contains("rolled back cleanly"), "{text}");
        assert!(pages.len() > 50, "{}", pages.len());
    }
}
