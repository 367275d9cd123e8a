//! The hops in `docs/paths/*.md`: each is `crate::module::symbol`, and the symbol is really there.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tidy::{files, shown};
use crate::workspace::Workspace;

/// One source file of a crate.
struct Source {
    /// The crate's name as code writes it.
    crate_name: String,
    /// Folders and stem below `src`: `handlers`, `00_produce`.
    modules: Vec<String>,
    text: String,
}

/// Every hop that names nothing.
pub fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let sources = sources(workspace)?;
    let mut faults = Vec::new();
    for path in pages(workspace)? {
        let page = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        for (number, line) in page.lines().enumerate() {
            for hop in hops(line).filter(|hop| !is_there(hop, &sources)) {
                faults.push(format!("{}:{}: there is no `{hop}`", shown(workspace, &path), number + 1));
            }
        }
    }
    Ok(faults)
}

fn pages(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.root.join("docs/paths");
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        pages.push(entry?.path());
    }
    pages.sort();
    Ok(pages)
}

fn sources(workspace: &Workspace) -> Result<Vec<Source>> {
    let crates = workspace.root.join("crates");
    let mut sources = Vec::new();
    for path in files(workspace, ".rs")? {
        let Ok(inside) = path.strip_prefix(&crates) else { continue };
        let mut parts: Vec<String> =
            inside.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.len() < 3 || parts[1] != "src" {
            continue;
        }
        let crate_name = parts.remove(0);
        let modules = parts.split_off(1);
        sources.push(Source { crate_name, modules, text: fs::read_to_string(&path)? });
    }
    Ok(sources)
}

/// What stands in backquotes and looks like a path.
fn hops(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|code| code.contains("::") && !code.starts_with("crate::"))
}

fn is_there(hop: &str, sources: &[Source]) -> bool {
    let mut parts: Vec<&str> = hop.split("::").collect();
    let Some(symbol) = parts.pop().filter(|_| !parts.is_empty()) else { return false };
    let crate_name = parts.remove(0);
    let (types, modules): (Vec<&str>, Vec<&str>) =
        parts.into_iter().partition(|part| part.starts_with(char::is_uppercase));
    sources.iter().filter(|source| source.crate_name == crate_name).any(|source| {
        // A handler's file begins with its API's number.
        let has_module = |name: &&str| {
            source
                .modules
                .iter()
                .any(|own| own == name || own.trim_start_matches(char::is_numeric) == format!("_{name}"))
        };
        modules.iter().all(has_module)
            && types.iter().all(|name| source.text.contains(&format!(" {name}")))
            && defines(&source.text, symbol)
    })
}

fn defines(text: &str, symbol: &str) -> bool {
    ["fn", "struct", "enum", "trait"].iter().any(|kind| {
        text.match_indices(&format!("{kind} {symbol}")).any(|(at, found)| {
            !text[at + found.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source {
            crate_name: "broker".to_owned(),
            modules: vec!["handlers".to_owned(), "00_produce".to_owned()],
            text: "impl Started {\n    pub async fn finish(self) {}\n}\npub async fn start() {}\n".to_owned(),
        }
    }

    #[test]
    fn a_hop_is_found_by_crate_module_type_and_symbol() {
        let sources = [source()];
        for (hop, there) in [
            ("broker::handlers::produce::start", true),
            ("broker::handlers::produce::Started::finish", true),
            ("broker::handlers::fetch::start", false),
            ("log::handlers::produce::start", false),
            ("broker::handlers::produce::star", false),
            ("broker::handlers::produce::Stopped::finish", false),
        ] {
            assert_eq!(is_there(hop, &sources), there, "{hop}");
        }
    }

    #[test]
    fn hops_are_the_paths_in_backquotes() {
        let line = "Each is `crate::path::symbol`; `a::b` calls `c`, see `d::E::f`.";
        assert_eq!(hops(line).collect::<Vec<_>>(), ["a::b", "d::E::f"]);
    }
}
