//! `ottla completions` and `ottla man`: what shells and `man` know of the commands, from the one table of them (Q1).

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use rt::Rt;

use crate::args::{Arguments, CompletionsArgs, ManArgs};
use crate::failure::{Failure, listed};
use crate::output::write_out;

/// Prints what a shell needs to complete command lines.
pub(crate) async fn completions(rt: &Rt, args: CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "ottla", &mut script);
    write_out(rt, script).await.map(drop)
}

/// Prints a page, or writes all of them.
pub(crate) async fn man(rt: &Rt, args: ManArgs) -> Result<(), Failure> {
    match &args.folder {
        None => {
            let page = page(&args.command)?;
            write_out(rt, page).await.map(drop)
        }
        Some(folder) => write_all(rt, folder).await,
    }
}

/// The table, with everything filled in that follows from it.
fn table() -> Command {
    let mut table = Arguments::command().disable_help_subcommand(true);
    table.build();
    table
}

/// The page of the command that these words name; of all of it without words.
fn page(words: &[String]) -> Result<Vec<u8>, Failure> {
    let table = table();
    let mut command = &table;
    for (index, word) in words.iter().enumerate() {
        command = match command.find_subcommand(word) {
            Some(found) => found,
            None => return Err(no_command(command, &words[..=index])),
        };
    }
    let mut page = Vec::new();
    render(command, &mut page)?;
    Ok(page)
}

fn no_command(parent: &Command, words: &[String]) -> Failure {
    let names: Vec<&str> = parent.get_subcommands().map(Command::get_name).collect();
    let failure = Failure::input(format!("there is no command 'ottla {}'", words.join(" ")));
    let wrong = words.last().map_or("", String::as_str);
    match crate::suggest::nearest(wrong, names.iter().copied()).as_slice() {
        [] if names.is_empty() => failure,
        [] => failure.next(format!("There are {}.", names.join(", "))),
        near => failure.next(format!("Did you mean {}?", listed(near))),
    }
}

fn render(command: &Command, page: &mut Vec<u8>) -> Result<(), Failure> {
    let mut roff = Vec::new();
    let rendered = Man::new(command.clone()).render(&mut roff);
    rendered.map_err(|error| Failure::input(format!("cannot write the page: {error}")))?;
    for line in roff.split_inclusive(|byte| *byte == b'\n') {
        // What stands behind the flags are tables: their lines must stay as they are.
        match line {
            b".SH EXTRA\n" => page.extend_from_slice(b".SH NOTES\n.nf\n"),
            b".SH VERSION\n" => page.extend_from_slice(b".fi\n.SH VERSION\n"),
            line => page.extend_from_slice(line),
        }
    }
    Ok(())
}

async fn write_all(rt: &Rt, folder: &Path) -> Result<(), Failure> {
    let mut pages = Vec::new();
    pages_of(&table(), &mut pages)?;
    let (fs, folder) = (rt.fs().clone(), folder.to_owned());
    let written = rt.blocking(move || {
        fs.create_dir_all(&folder)?;
        pages.iter().try_for_each(|(name, page)| fs.write_atomically(&folder.join(name), page))
    });
    written.await.map_err(|error| Failure::input(format!("cannot write the pages: {error}")))
}

/// The pages of a command and of those below it, with the names of their files.
fn pages_of(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let mut page = Vec::new();
    render(command, &mut page)?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((format!("{name}.1"), page));
    command.get_subcommands().try_for_each(|below| pages_of(below, pages))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_flags() {
        let mut pages = Vec::new();
        pages_of(&table(), &mut pages).unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["ottla.1", "ottla-serve.1", "ottla-topic.1", "ottla-topic-create.1", "ottla-log-dump.1"]
        {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        let page = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            String::from_utf8(page(&words).unwrap()).unwrap()
        };
        assert!(page(&[]).contains("ottla\\-topic(1)"), "{}", page(&[]));
        let create = page(&["topic", "create"]);
        assert!(create.contains(".TH ottla-topic-create 1"), "{create}");
        for flag in ["\\-\\-dry\\-run", "\\-\\-partitions", "\\-\\-bootstrap"] {
            assert!(create.contains(flag), "{flag} in {create}");
        }
        assert!(page(&["consume"]).contains(".SH NOTES\n.nf\nWHERE TO START AND END"));
        let wrong = super::page(&["topic".to_owned(), "craete".to_owned()]).unwrap_err();
        assert!(format!("{wrong:?}").contains("Did you mean 'create'?"), "{wrong:?}");
    }

    #[test]
    fn every_shell_knows_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "ottla", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["consume", "add-partitions", "delete-records", "dry-run", "bootstrap"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
