//! `karpsim completions` and `karpsim man`: made from the same grammar as the help.

use anyhow::Result;
use clap::CommandFactory;

use super::Exit;
use super::args::{Arguments, CompletionsOptions, ManOptions};
use super::output::Folder;
use super::terminal::Terminal;

/// Prints a shell's completion script.
pub fn completions(options: &CompletionsOptions, terminal: &Terminal) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "karpsim", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Writes a man page for the program and one for each verb.
pub fn man(options: &ManOptions, terminal: &Terminal) -> Result<Exit> {
    let mut folder = Folder::new(&options.folder, false)?;
    let program = Arguments::command();
    let pages = program.get_subcommands().filter(|verb| !verb.is_hide_set()).map(|verb| {
        let name = format!("karpsim-{}", verb.get_name());
        (name.clone(), verb.clone().name(name))
    });
    for (name, command) in std::iter::once(("karpsim".to_owned(), program.clone())).chain(pages) {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        folder.write(&format!("{name}.1"), &page)?;
    }
    terminal.say(&format!(
        "wrote {} pages into {}",
        folder.written().len(),
        options.folder.display()
    ));
    Ok(Exit::Done)
}
