//! Links below `/dev` that keep their name: `by-id`, `by-path` and their like.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::sysfs::entries;

/// Links that are remembered of one device: a disk has a dozen.
const LINKS: usize = 32;

/// Links of every device, by the node's name below `/dev`.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(String, Arc<str>)>);

impl Links {
    /// Reads `/dev/*/by-id` and `/dev/*/by-path`, and those in `/dev` itself.
    pub(super) fn read(dev: &Path) -> Self {
        let mut found = Vec::new();
        for folder in folders(dev) {
            if !["by-id", "by-path"].iter().any(|kind| folder.ends_with(kind)) {
                continue;
            }
            for name in entries(&dev.join(&folder)) {
                let link = folder.join(&name);
                if let Some(node) = target(dev, &link) {
                    found.push((node, Arc::from(format!("/dev/{}", link.display()))));
                }
            }
        }
        Self(found)
    }

    pub(super) fn of(&self, node: &str) -> Vec<Arc<str>> {
        let own = self.0.iter().filter(|(target, _)| target == node);
        own.take(LINKS).map(|(_, link)| Arc::clone(link)).collect()
    }
}

/// Folders called `by-…`, relative to `/dev`: in it and one below.
pub(super) fn folders(dev: &Path) -> Vec<PathBuf> {
    let by = |folder: PathBuf| {
        let names = entries(&dev.join(&folder)).into_iter().filter(|name| name.starts_with("by-"));
        names.map(move |name| folder.join(name)).collect::<Vec<_>>()
    };
    let is_folder = |name: &String| fs::symlink_metadata(dev.join(name)).is_ok_and(|found| found.is_dir());
    let mut all = by(PathBuf::new());
    all.extend(entries(dev).into_iter().filter(is_folder).flat_map(|name| by(name.into())));
    all
}

/// The node's name below `/dev` that a link leads to, by the link's text alone.
pub(super) fn target(dev: &Path, link: &Path) -> Option<String> {
    let text = fs::read_link(dev.join(link)).ok()?;
    let mut path = PathBuf::new();
    let from = link.parent().unwrap_or(Path::new("")).join(&text);
    // An absolute link replaces what it is joined to.
    let from = from.strip_prefix("/dev").unwrap_or(&from);
    for part in from.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    path.to_str().filter(|node| !node.is_empty()).map(str::to_owned)
}
