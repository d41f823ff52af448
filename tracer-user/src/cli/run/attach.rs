//! Gets the kernel side running, in the best way that this kernel allows.

use iotrail::host::processes;
use iotrail::kernel::features::{self, Feature, chain};
use iotrail::kernel::load::{self, Hooks, Kernel, LoadError};
use iotrail::pipeline::select::Plan;
use iotrail::serve;

use super::super::doctor;
use super::super::exit::Failure;
use super::options::{HooksArgument, Options};

/// Loads and attaches; without BTF if the kernel has none.
pub(super) fn attach(options: &Options, plan: &Plan) -> Result<Kernel, Failure> {
    let hooks = match options.hooks {
        HooksArgument::Auto => Hooks::Auto,
        HooksArgument::Raw => Hooks::Raw,
        HooksArgument::Btf => Hooks::Btf,
        HooksArgument::Each => Hooks::Each,
    };
    let defaults = load::Options::new(hooks, !options.no_btf);
    let mut load = load::Options {
        capture_bytes: options.capture_bytes.unwrap_or(defaults.capture_bytes),
        capture_socket: options.capture_bytes.unwrap_or(defaults.capture_socket),
        capture_busy: options.capture_bytes.unwrap_or(defaults.capture_busy),
        data_ring: options.ring << 10,
        tls: wants_tls(options, plan),
        own_children: !options.command.is_empty(),
        selection: plan.selection.clone(),
        ..defaults
    };
    let mut kernel = match load::load(&load) {
        // No BTF, or a kernel before 5.11, which lacks a helper that the look-up needs.
        Err(error @ (LoadError::Btf(_) | LoadError::Program { .. })) if load.btf => {
            tracing::warn!("{}; following descriptors through open, dup and /proc instead", chain(&error));
            load.btf = false;
            load::load(&load)?
        }
        other => other?,
    };
    if let Some(Err(error)) = &kernel.egress {
        tracing::warn!(
            "the bytes that sendfile and splice send to connections are counted but not seen: {error}"
        );
    }
    let in_scope = plan.selection.processes.as_ref();
    if !kernel.attachment.sees_compat
        && options.hooks == HooksArgument::Auto
        && (options.command.first().is_some_and(|program| processes::is_compat_program(program))
            || processes::compat(in_scope).next().is_some())
    {
        kernel.attachment.attach_compat()?;
    }
    Ok(kernel)
}

/// Whether plaintext of TLS libraries is wanted: there are brokers, and nobody said no.
pub(super) fn wants_tls(options: &Options, plan: &Plan) -> bool {
    !options.no_tls && (!plan.selection.ports.is_empty() || !plan.selection.unix_paths.is_empty())
}

/// What is there and what is missing, for `/health/detailed`.
pub(super) fn features(kernel: &Kernel) -> Vec<serve::state::Feature> {
    let btf = Feature {
        name: "btf",
        available: kernel.layout.is_some(),
        required: false,
        detail: String::new(),
        consequence: "descriptors are followed through open, dup and /proc, and messages are joined by content and order",
        remedy: "a kernel with CONFIG_DEBUG_INFO_BTF, and no --no-btf",
    };
    let told = |feature: Feature| serve::state::Feature {
        name: feature.name.to_owned(),
        available: feature.available,
        reason: (!feature.detail.is_empty()).then_some(feature.detail),
        consequence: (!feature.available).then(|| feature.consequence.to_owned()),
        remedy: (!feature.available).then(|| feature.remedy.to_owned()),
    };
    let attached = Feature {
        name: "system calls",
        available: true,
        required: true,
        detail: format!("{} programs attached", kernel.programs.len()),
        consequence: "",
        remedy: "",
    };
    let mut all = vec![told(attached), told(btf), told(doctor::device_events())];
    all.extend(kernel.egress.clone().map(|outcome| told(features::packets(outcome))));
    all.extend(kernel.uring.clone().map(|outcome| told(features::requests(outcome))));
    all
}
