//! MQTT, traced while it happens, checked against what the clients themselves wrote down.

mod basics;
pub(crate) mod check;
mod delivery;
mod files;
mod overlapping;
mod session;
pub(crate) mod site;
mod version5;
mod viewpoint;
