//! The C compiler: lists a header's macros and evaluates expressions over it, for programs of several ABIs.

use super::{headers, macros::Macros};
use crate::{cmd, workspace::Workspace};
use anyhow::{Context as _, Result, anyhow, ensure};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// What programs a number is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Abi {
    flags: &'static [&'static str],
}

/// 64-bit programs: amd64's; arm64 aligns and encodes the same way.
pub(super) const WIDE: Abi = Abi { flags: &["-m64"] };

/// The same with arm64's own structures, where the architectures have different ones.
pub(super) const ARM64: Abi = Abi { flags: &["-m64", "-isystem", headers::ARM64] };

const TIME64: [&str; 2] = ["-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"];

/// 32-bit programs: i386, and arm, which aligns 64-bit fields to 8 bytes; each with `time_t` of 32 and of 64 bits.
pub(super) const NARROW: [Abi; 4] = [
    Abi { flags: &["-m32"] },
    Abi { flags: &["-m32", "-malign-double"] },
    Abi { flags: &["-m32", TIME64[0], TIME64[1]] },
    Abi { flags: &["-m32", "-malign-double", TIME64[0], TIME64[1]] },
];

/// Rounds of compiling after which what is left of the expressions is given up.
const ROUNDS: usize = 4;
/// Why what was never reached has no value.
const GIVEN_UP: &str = "given up";
/// The array in the object.
const ARRAY: &str = "iotrail_values";
/// What errors in expressions have for a file name.
const EXPRESSIONS: &str = "iotrail-expressions";

/// A C compiler for this machine.
pub(super) struct Compiler {
    folder: PathBuf,
    /// Where the 64-bit architecture's own headers are, which compiling for 32 bits does not look at.
    own: PathBuf,
    wide: Vec<&'static str>,
    /// Whether it compiles for 32-bit programs.
    pub(super) narrow: bool,
    next: AtomicUsize,
}

/// What came of some expressions.
#[derive(Default)]
pub(super) struct Values {
    pub(super) values: BTreeMap<String, u32>,
    /// Those without a value, and why.
    pub(super) failed: BTreeMap<String, String>,
}

impl Compiler {
    /// Finds it and what it can do.
    pub(super) fn find(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.own("codegen");
        // 32-bit headers of the C library are not needed: this one of them is all that is asked for.
        fs::create_dir_all(folder.join("include/gnu"))
            .and_then(|()| fs::write(folder.join("include/gnu/stubs-32.h"), ""))
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        // Where others look for them; the folder around them is another architecture's.
        let drm = folder.join("include/drm");
        if !drm.is_symlink() {
            std::os::unix::fs::symlink(Path::new(headers::ARM64).join("drm"), &drm)
                .with_context(|| format!("cannot create {}", drm.display()))?;
        }
        let triple = cmd::answer(Command::new("cc").arg("-print-multiarch"))
            .context("cannot run cc: a C compiler is needed to read the kernel headers")?;
        let own = Path::new("/usr/include").join(triple);
        let mut compiler = Self { folder, own, wide: Vec::new(), narrow: true, next: AtomicUsize::new(0) };
        // Compilers for arm64 know neither.
        if compiler.evaluate_at(WIDE.flags, "", &["1".to_owned()]).values.is_empty() {
            compiler.narrow = false;
        } else {
            compiler.wide = WIDE.flags.to_vec();
        }
        ensure!(
            compiler.evaluate("", &["1".to_owned()], WIDE).values.get("1") == Some(&1),
            "cc cannot compile: {}",
            compiler
                .evaluate("", &["1".to_owned()], WIDE)
                .failed
                .values()
                .next()
                .map_or("no reason given", String::as_str)
        );
        compiler.narrow &= !compiler.evaluate("", &["1".to_owned()], NARROW[0]).values.is_empty();
        Ok(compiler)
    }

    /// The macros that `source` defines; those in the file `path` are its own.
    pub(super) fn macros(&self, source: &str, path: &Path) -> Result<Macros> {
        let (output, _) = self.run(&self.wide, &["-E", "-dD"], source)?;
        Ok(Macros::parse(&output, &path.to_string_lossy()))
    }

    /// The values of C expressions after `source`.
    pub(super) fn evaluate(&self, source: &str, expressions: &[String], abi: Abi) -> Values {
        self.evaluate_at(self.flags(abi), source, expressions)
    }

    /// Compilers for arm64 know no `-m64`.
    fn flags(&self, abi: Abi) -> &[&'static str] {
        match abi.flags {
            ["-m64", rest @ ..] if self.wide.is_empty() => rest,
            all => all,
        }
    }

    fn evaluate_at(&self, flags: &[&str], source: &str, expressions: &[String]) -> Values {
        let mut values = Values::default();
        let mut left: Vec<&String> = expressions.iter().collect();
        for _ in 0..ROUNDS {
            if left.is_empty() {
                break;
            }
            match self.array(flags, source, &left) {
                Ok(numbers) => {
                    values.values.extend(left.drain(..).cloned().zip(numbers));
                }
                Err(errors) => {
                    let before = left.len();
                    left = left
                        .into_iter()
                        .enumerate()
                        .filter_map(|(index, expression)| match errors.get(&(index + 1)) {
                            None => Some(expression),
                            Some(why) => {
                                values.failed.insert(expression.clone(), why.clone());
                                None
                            }
                        })
                        .collect();
                    if left.len() == before {
                        let why = errors.get(&0).map_or("no reason given", String::as_str);
                        values.failed.extend(left.drain(..).map(|each| (each.clone(), why.to_owned())));
                    }
                }
            }
        }
        values.failed.extend(left.into_iter().map(|each| (each.clone(), GIVEN_UP.to_owned())));
        values
    }

    /// Compiles an array of them; or the errors by line of expression, from 1; 0 for any other place.
    fn array(
        &self,
        flags: &[&str],
        source: &str,
        expressions: &[&String],
    ) -> Result<Vec<u32>, BTreeMap<usize, String>> {
        let mut text = format!("{source}\nconst unsigned int {ARRAY}[] = {{\n#line 1 \"{EXPRESSIONS}\"\n");
        for expression in expressions {
            text.push_str(&format!("(unsigned int)({expression}),\n"));
        }
        text.push_str("};\n");
        let object = self.folder.join(format!("{}.o", self.next.fetch_add(1, Ordering::Relaxed)));
        let place = object.to_string_lossy().into_owned();
        let numbers = self
            .run(flags, &["-c", "-o", &place], &text)
            .and_then(|_| numbers(&object, expressions.len()).map_err(|err| anyhow!("{err:#}")));
        // Left behind after a failure: it is in the target folder and overwritten by the next run.
        let _ = fs::remove_file(&object);
        numbers.map_err(|err| by_line(&err.to_string()))
    }

    /// Runs cc; its output, or its errors.
    fn run(&self, flags: &[&str], how: &[&str], source: &str) -> Result<(String, String)> {
        let file = self.folder.join(format!("{}.c", self.next.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, source).with_context(|| format!("cannot write {}", file.display()))?;
        let mut cc = Command::new("cc");
        cc.env("LC_ALL", "C").args(flags).args(["-xc", "-std=gnu11", "-w", "-D_GNU_SOURCE"]);
        // Errors where the macro is used, not where it is defined.
        cc.args(["-ftrack-macro-expansion=0", "-fno-diagnostics-show-caret", "-fdiagnostics-color=never"]);
        cc.args(["-fmax-errors=0", "-isystem"])
            .arg(self.folder.join("include"))
            .arg("-isystem")
            .arg(&self.own);
        let output = cc.args(how).arg(&file).stdin(Stdio::null()).output();
        let _ = fs::remove_file(&file);
        let output = output.context("cannot start cc")?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{errors}");
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), errors))
    }
}

/// Reads the array out of the object.
fn numbers(path: &Path, count: usize) -> Result<Vec<u32>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(bytes.as_slice()).context("cc made no object")?;
    let symbol =
        file.symbols().find(|symbol| symbol.name() == Ok(ARRAY)).context("the object has no array")?;
    let section = file.section_by_index(symbol.section_index().context("the array has no section")?)?;
    let start = usize::try_from(symbol.address() - section.address())?;
    let data = section.data()?.get(start..start + 4 * count).context("the array is cut")?;
    Ok(data.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
}

/// The first error in what cc said.
pub(super) fn reason(errors: &str) -> String {
    by_line(errors).into_values().next().unwrap_or_default()
}

/// The first error of each line of expressions; the first of all others as line 0.
fn by_line(errors: &str) -> BTreeMap<usize, String> {
    let mut lines = BTreeMap::new();
    for line in errors.lines() {
        let Some((place, why)) = line.split_once("error: ") else { continue };
        let number = place
            .strip_prefix(EXPRESSIONS)
            .and_then(|rest| rest.trim_start_matches(':').split(':').next()?.parse().ok())
            .unwrap_or(0);
        lines.entry(number).or_insert_with(|| why.to_owned());
    }
    if lines.is_empty() {
        lines.insert(0, errors.lines().next().unwrap_or("no reason given").to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_by_their_expression() {
        let errors = "iotrail-expressions:3:1: error: 'X' undeclared here (not in a function)\n\
            iotrail-expressions:3:1: error: another\n/usr/include/a.h:7:2: error: unknown type name 'u8'\nnote: x";
        let lines = by_line(errors);
        assert_eq!(lines.get(&3).map(String::as_str), Some("'X' undeclared here (not in a function)"));
        assert_eq!(lines.get(&0).map(String::as_str), Some("unknown type name 'u8'"));
        assert_eq!(lines.len(), 2);
    }
}
