//! How long the logical blocks of devices are whose commands count in them: NVMe namespaces.

use super::class::row;
use super::sysfs::{self, Sysfs};
use super::{DeviceKind, DeviceNumber, Row};

/// Each namespace's nodes, partitions included, with the bytes of a block.
///
/// From `queue/logical_block_size` of the disk, `Documentation/ABI/stable/sysfs-block`; `ngNnM` is the namespace `nvmeNnM`.
#[must_use]
pub fn block_sizes(sysfs: &Sysfs) -> Vec<(Row, u32)> {
    let disks = sysfs.sys.join("class/block");
    let size = |disk: &str| -> Option<u32> {
        let folder = std::fs::canonicalize(disks.join(disk)).ok()?;
        let queue = |folder: &std::path::Path| sysfs::text(&folder.join("queue/logical_block_size"));
        // A partition has none of its own.
        queue(&folder).or_else(|| queue(folder.parent()?))?.parse().ok()
    };
    let mut found = Vec::new();
    for (kind, class, prefix) in
        [(DeviceKind::Block, "class/block", "nvme"), (DeviceKind::Char, "class/nvme-generic", "ng")]
    {
        let folder = sysfs.sys.join(class);
        for name in sysfs::entries(&folder) {
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            let Some(number) = sysfs::text(&folder.join(&name).join("dev")) else { continue };
            let Some((major, minor)) = number.split_once(':') else { continue };
            if let (Ok(major), Ok(minor), Some(bytes)) =
                (major.parse(), minor.parse(), size(&format!("nvme{rest}")))
            {
                found.push((row(DeviceNumber { kind, major, minor }), bytes));
            }
        }
    }
    found
}
