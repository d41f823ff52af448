use iotrail::kernel::{load::*, selection::*};
fn main() {
    let hooks = match std::env::args().nth(1).as_deref() {
        Some("raw") => Hooks::Raw,
        Some("btf") => Hooks::Btf,
        _ => Hooks::Each,
    };
    let btf = std::env::args().nth(2).as_deref() != Some("nobtf");
    let t = std::time::Instant::now();
    let sel = Selection {
        devices: (136..144).map(|m| (1, m, None)).collect(),
        ports: [1883].into(),
        ..Default::default()
    };
    let mut k = match load(&Options {
        hooks,
        btf,
        capture_bytes: 4096,
        data_ring: 8 << 20,
        lifecycle_ring: 1 << 20,
        selection: sel,
    }) {
        Ok(k) => k,
        Err(e) => {
            let mut s: Option<&dyn std::error::Error> = Some(&e);
            while let Some(x) = s {
                let t = format!("{x}");
                let n = t.len();
                println!("{}", if n > 6000 { format!("{}\n...\n{}", &t[..2000], &t[n - 4000..]) } else { t });
                s = x.source();
            }
            std::process::exit(1)
        }
    };
    println!("loaded in {:?} {:?}", t.elapsed(), k.programs);
    let end = std::time::Instant::now()
        + std::time::Duration::from_secs_f64(
            std::env::args().nth(3).and_then(|x| x.parse().ok()).unwrap_or(3.0),
        );
    let mut out = vec![];
    let mut n = 0;
    while std::time::Instant::now() < end {
        k.reader.wait(std::time::Duration::from_millis(10));
        k.reader.read(u64::MAX, true, &mut out);
        for r in out.drain(..) {
            n += 1;
            if r.header.comm.starts_with(b"python3") {
                println!("{:?} {:?} {:?}", String::from_utf8_lossy(&r.header.comm), r.header, r.payload);
            }
        }
    }
    println!("{n} {:?}", k.counters.read().unwrap());
}
