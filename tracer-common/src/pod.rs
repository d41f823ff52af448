//! Leave for aya to move these as plain bytes.
#![allow(unsafe_code, reason = "`Pod` is an unsafe trait")]

use crate::config::{Config, DeviceKey, FdInfo, FdKey, Offsets};
use crate::recipe::{Recipe, RecipeKey};

// SAFETY: `repr(C)`, `Copy`, made of integers only, and without padding.
unsafe impl aya::Pod for Config {}
// SAFETY: as above.
unsafe impl aya::Pod for Offsets {}
// SAFETY: as above.
unsafe impl aya::Pod for DeviceKey {}
// SAFETY: as above.
unsafe impl aya::Pod for FdKey {}
// SAFETY: as above.
unsafe impl aya::Pod for FdInfo {}
// SAFETY: as above.
unsafe impl aya::Pod for RecipeKey {}
// SAFETY: as above.
unsafe impl aya::Pod for Recipe {}
