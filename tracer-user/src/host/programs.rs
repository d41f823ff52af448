//! What a program is called, from what it was started with.

use std::path::Path;
use std::sync::Arc;

use crate::model::capture::Program;

/// Arguments of a command line that are kept: some programs have thousands.
pub(super) const ARGS: usize = 64;

/// Programs that run scripts: the script names the service, not they.
const INTERPRETERS: &[&str] = &[
    "python", "python2", "python3", "node", "nodejs", "ruby", "perl", "bash", "sh", "dash", "ash", "ksh",
    "mksh", "zsh", "php", "lua", "java", "deno", "tclsh", "expect",
];

/// Programs that are many in one: the name by which they are called says which.
/// Debian's redis-server is a link to redis-check-rdb.
const MANY_IN_ONE: &[&str] = &["busybox", "toybox", "coreutils", "redis-check-rdb"];

/// The variable by which a service names itself.
const SERVICE: &[u8] = b"OTEL_SERVICE_NAME=";

/// A program as it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    executable: Arc<str>,
    exact: bool,
    args: Vec<Arc<str>>,
    named: Named,
    born: u64,
}

/// What the environment says of the service's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// This one.
    Yes(Arc<str>),
    /// None.
    No,
    /// It was not captured whole, or not at all.
    NotKnown,
}

impl Started {
    /// As its start told.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        Self::called(program, &text(&program.file), true)
    }

    /// As it was asked for. `comm`: the thread's name when the program began.
    #[must_use]
    pub fn asked(program: &Program, comm: &[u8; 16]) -> Self {
        Self::called(program, &named_by(&comm_text(comm), program), false)
    }

    fn called(program: &Program, executable: &str, exact: bool) -> Self {
        let args = strings(&program.arguments);
        let mut variables = program.environment.split(|byte| *byte == 0);
        let service = variables.find_map(|variable| variable.strip_prefix(SERVICE));
        let named = match service {
            Some(name) if !name.is_empty() => Named::Yes(text(name).into()),
            Some(_) => Named::No,
            None if program.cut || program.arguments.is_empty() => Named::NotKnown,
            None => Named::No,
        };
        Self { executable: executable.into(), exact, args, named, born: program.born }
    }

    /// Base name of its file.
    #[must_use]
    pub fn executable(&self) -> &str {
        &self.executable
    }

    /// Whether the kernel told that name.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    pub(super) fn args(&self) -> &[Arc<str>] {
        &self.args
    }

    pub(super) fn named(&self) -> &Named {
        &self.named
    }

    /// When its process was born, in ns of `CLOCK_BOOTTIME`, if that is known.
    pub(super) fn born(&self) -> Option<u64> {
        (self.born != 0).then_some(self.born)
    }
}

/// A thread's name.
pub(super) fn comm_text(comm: &[u8; 16]) -> String {
    text(comm.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Strings with a NUL behind each; the last may have lost its own.
fn strings(bytes: &[u8]) -> Vec<Arc<str>> {
    let whole = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    whole.split(|byte| *byte == 0).take(ARGS).map(|arg| text(arg).into()).collect()
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name of a program's file, where the kernel tells only what was asked for: the thread is called by the first 15
/// bytes of the path's last part.
fn named_by(comm: &str, asked: &Program) -> String {
    let path = text(&asked.file);
    let name = base(&path);
    if comm == "exe" || name == "exe" {
        // Through `/proc/self/exe`.
        let args = strings(&asked.arguments);
        let first = args.first().map(|first| base(first).trim_start_matches('-').to_owned());
        return first.filter(|first| !first.is_empty()).unwrap_or_else(|| comm.to_owned());
    }
    // Another one by now, or opened by a descriptor.
    if name.is_empty() || !name.starts_with(comm) { comm.to_owned() } else { name.to_owned() }
}

/// What a service is called that nobody has named: the script that an interpreter runs, without its folder and ending,
/// the one that a program of many is called as, or the program.
pub(super) fn service(executable: &str, args: &[Arc<str>]) -> String {
    let (program, args) = called_as(executable, args);
    script(program, args).unwrap_or_else(|| program.to_owned())
}

/// `busybox stty -F /dev/ttyS0`, or `stty …` where that is a link to busybox: `stty` with its arguments.
fn called_as<'a>(executable: &'a str, args: &'a [Arc<str>]) -> (&'a str, &'a [Arc<str>]) {
    if !MANY_IN_ONE.contains(&executable) {
        return (executable, args);
    }
    let own = |arg: &&Arc<str>| base(arg).trim_start_matches('-') == executable;
    let args = if args.first().as_ref().is_some_and(own) { &args[1..] } else { args };
    // A program that says more of itself there says it behind its name.
    let first = args.first().and_then(|first| first.split(' ').next());
    let name = first.map(|first| base(first).trim_start_matches('-')).filter(|name| !name.is_empty());
    name.map_or((executable, args), |name| (name, args))
}

fn script(executable: &str, args: &[Arc<str>]) -> Option<String> {
    let bare = executable.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !INTERPRETERS.contains(&executable) && !INTERPRETERS.contains(&bare) {
        return None;
    }
    if executable == "java" {
        return java(args);
    }
    let script = args.iter().skip(1).find(|arg| !arg.starts_with('-'))?;
    let name = Path::new(&**script).file_stem()?.to_str()?;
    (!name.is_empty() && args.get(1).is_none_or(|first| &**first != "-c")).then(|| name.to_owned())
}

/// The archive or the class that Java runs, without what stands before its last dot: it takes options with a value of their own
/// before it.
fn java(args: &[Arc<str>]) -> Option<String> {
    let mut args = args.iter().skip(1).map(|arg| &**arg);
    loop {
        match args.next()? {
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" | "--add-modules" => {
                args.next()?;
            }
            "-jar" => return Some(Path::new(args.next()?).file_stem()?.to_str()?.to_owned()),
            "-m" | "--module" => {
                return args
                    .next()?
                    .rsplit(['.', '/'])
                    .next()
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned);
            }
            option if option.starts_with(['-', '@']) => {}
            class => {
                return class.rsplit(['.', '/']).next().filter(|name| !name.is_empty()).map(str::to_owned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<Arc<str>> {
        text.split(' ').map(Arc::from).collect()
    }

    #[test]
    fn a_script_names_the_service_and_an_inline_program_does_not() {
        assert_eq!(service("python3.11", &args("python3 -u /opt/plant/sensor.py --rate 5")), "sensor");
        assert_eq!(service("python3", &args("python3 -c print(1)")), "python3");
        assert_eq!(service("mosquitto", &args("mosquitto -c x.conf")), "mosquitto");
        assert_eq!(service("python3", &args("python3")), "python3");
        assert_eq!(service("java", &args("java -Xmx1g -cp /opt/k/* kafka.Kafka server.properties")), "Kafka");
        assert_eq!(service("java", &args("java -jar /opt/plant/pump.jar --fast")), "pump");
        assert_eq!(service("java", &args("java -version")), "java");
        let titled = [Arc::from("/usr/bin/redis-server 127.0.0.1:6379")];
        assert_eq!(service("redis-check-rdb", &titled), "redis-server");
    }

    #[test]
    fn one_program_of_many_is_called_as_it_is_called() {
        assert_eq!(service("busybox", &args("stty -F /dev/ttyS0")), "stty");
        assert_eq!(service("busybox", &args("/bin/busybox stty -F /dev/ttyS0")), "stty");
        assert_eq!(service("busybox", &args("-sh")), "sh");
        assert_eq!(service("busybox", &args("sh /opt/read.sh")), "read");
        assert_eq!(service("busybox", &args("busybox")), "busybox");
        assert_eq!(service("busybox", &[]), "busybox");
    }

    #[test]
    fn where_the_kernel_does_not_tell_the_file_its_call_does() {
        let asked = |comm: &str, path: &str, first: &str| {
            let mut name = [0; 16];
            name[..comm.len()].copy_from_slice(comm.as_bytes());
            let arguments = [first.as_bytes(), b"\0"].concat().into();
            let program = Program { file: path.to_owned().into(), arguments, ..Program::default() };
            Started::asked(&program, &name).executable().to_owned()
        };
        assert_eq!(asked("stty", "/usr/bin/stty", "stty"), "stty");
        assert_eq!(asked("a_very_long_nam", "./a_very_long_name", "x"), "a_very_long_name");
        assert_eq!(asked("read.sh", "/opt/read.sh", "/opt/read.sh"), "read.sh");
        assert_eq!(asked("exe", "/proc/self/exe", "stty"), "stty");
        assert_eq!(asked("exe", "/proc/self/exe", ""), "exe");
        assert_eq!(asked("stty", "/usr/bin/other", "another"), "stty");
        assert_eq!(asked("stty", "", ""), "stty");
    }

    #[test]
    fn the_environment_names_the_service_if_it_is_all_there() {
        let program = |environment: &'static [u8], cut| Program {
            file: "a".into(),
            arguments: b"a\0"[..].into(),
            environment: environment.into(),
            cut,
            born: 0,
        };
        let named = |environment, cut| Started::new(&program(environment, cut)).named().clone();
        assert_eq!(named(b"A=1\0OTEL_SERVICE_NAME=pump\0", true), Named::Yes("pump".into()));
        assert_eq!(named(b"A=1\0XOTEL_SERVICE_NAME=pump\0", false), Named::No);
        assert_eq!(named(b"OTEL_SERVICE_NAME=\0", false), Named::No);
        assert_eq!(named(b"A=1\0", true), Named::NotKnown);
        let nothing = Started::new(&Program::default());
        assert_eq!((nothing.named(), nothing.args().len()), (&Named::NotKnown, 0));
        let odd = Program { arguments: b"\0\0x"[..].into(), ..Program::default() };
        assert_eq!(Started::new(&odd).args().len(), 3);
    }
}
