//! The program as a user meets it: exit codes, what stands on which stream, and bad input.
//!
//! Holds rows of invocations. Refuses to test what a scenario does: that is the scenarios' own.

#![allow(clippy::expect_used, reason = "helpers of tests; a failure names the line")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Address space of a run on bad input: half a gigabyte.
const MEMORY_KIB: u32 = 512 * 1024;

/// What one invocation did.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpclab"));
    command.env_remove("NO_COLOR");
    command
}

fn vpclab(args: &[&str]) -> Said {
    Said::of(program().args(args).output().expect("the program starts"))
}

/// As [`vpclab`], with bounded memory.
fn confined(args: &[&str]) -> Said {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_vpclab")]).args(args);
    Said::of(command.output().expect("a shell starts"))
}

/// A directory of its own below the system's temporary one, gone at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("vpclab-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a scratch directory");
        Scratch(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a scratch file");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FIRST: &str = "scenarios/first/not-transitive.yaml";

#[test]
fn what_holds_is_told_on_standard_output_with_code_0() {
    let said = vpclab(&["run", FIRST]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], format!("ok   {FIRST}  peering is not transitive (7 steps)"));
    assert!(lines[2].starts_with("1 held, 0 failed (7 steps, "), "{}", lines[2]);
    let said = vpclab(&["check", FIRST]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(said.out, format!("ok    {FIRST}\n\n1 valid, 0 not\n"));
}

#[test]
fn a_wrong_reason_is_code_1_and_says_both() {
    let said = vpclab(&["run", "tests/data/failing/wrong-reason.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    for words in [
        "FAIL tests/data/failing/wrong-reason.yaml",
        "tests/data/failing/wrong-reason.yaml:21",
        "expected  dropped: no-route",
        "actual    dropped: transit, at: AB",
        "0 held, 1 failed",
    ] {
        assert!(said.out.contains(words), "no `{words}` in\n{}", said.out);
    }
}

/// Files with mistakes: code 2, nothing but the summary on standard output, the mistake named on
/// standard error, by `check` as by `run`.
#[test]
fn a_file_that_cannot_be_used_is_code_2() {
    for (file, words) in [
        ("typo-in-key", &["error[E0201]", "unknown key", "did you mean"][..]),
        ("overlapping-cidrs", &["error[E0502]", "their CIDR blocks overlap"]),
        ("unknown-label", &["error[E0401]", "no instance is called"]),
        ("bad-prefix", &["error[E0301]", "is not an IPv4 block"]),
        ("second-peering-of-a-pair", &["error[E0501]", "one pair, one peering"]),
        ("empty", &["error[E0105]"]),
        ("alias-bomb", &["error[E0102]"]),
        ("not-utf8", &["error[E0001]", "is not UTF-8 text"]),
        ("nested-too-deep", &["error[E0103]"]),
        ("unknown-drop-reason", &["error[E0403]"]),
    ] {
        let path = format!("tests/data/refused/{file}.yaml");
        for command in ["run", "check"] {
            let said = confined(&[command, &path]);
            assert_eq!(said.code, Some(2), "{command} {file}: {said:?}");
            for word in words {
                assert!(said.err.contains(word), "{command}: no `{word}` in\n{}", said.err);
            }
            assert!(said.err.contains(&path), "{command}: no file name in\n{}", said.err);
            assert!(!said.out.contains("error"), "{command} {file}: {}", said.out);
        }
    }
}

/// The worst of several results decides, and the others are still told.
#[test]
fn one_bad_file_does_not_hide_the_others() {
    let said = vpclab(&[
        "run",
        FIRST,
        "tests/data/refused/empty.yaml",
        "tests/data/failing/wrong-reason.yaml",
    ]);
    assert_eq!(said.code, Some(2));
    assert!(said.out.contains("1 held, 1 failed, 1 could not be run"), "{}", said.out);
    assert!(said.err.contains("tests/data/refused/empty.yaml"), "{}", said.err);
}

#[test]
fn bytes_that_are_no_scenario_are_refused_in_little_memory() {
    let scratch = Scratch::new("bytes");
    let large = scratch.0.join("large.yaml");
    // Sparse: a hundred megabytes that take no room.
    let file = fs::File::create(&large).expect("a scratch file");
    file.set_len(100_000_000).expect("a sparse file");
    let nested = format!("vpclab: 1\nname: {}", "[".repeat(1_000_000));
    let keys: String = (0..200_000).map(|n| format!("k{n}: {n}\n")).collect();
    for (path, words) in [
        (large.display().to_string(), "it has 100000000 bytes, the limit is 4194304"),
        (scratch.file("nul.yaml", b"vpclab: 1\nname: a\0b\n"), "error[E0101]"),
        (scratch.file("nuls.yaml", &[0; 10_000]), "error["),
        (scratch.file("latin.yaml", b"vpclab: 1\nname: caf\xe9\n"), "line 2 is not UTF-8 text"),
        (scratch.file("bom.yaml", b"\xff\xfev\0p\0"), "line 1 is not UTF-8 text"),
        (scratch.file("nested.yaml", nested.as_bytes()), "error[E0103]"),
        (scratch.file("keys.yaml", keys.as_bytes()), "error["),
        (scratch.file("spaces.yaml", &[b' '; 1_000_000]), "error[E0105]"),
        (scratch.file("quote.yaml", &[b'"'; 1_000_001]), "error["),
        (scratch.0.join("absent.yaml").display().to_string(), "No such file or directory"),
    ] {
        for command in ["run", "check"] {
            let said = confined(&[command, &path]);
            assert_eq!(said.code, Some(2), "{command} {path}: {said:?}");
            assert!(said.err.contains(words), "{command}: no `{words}` in\n{}", said.err);
            assert!(!said.err.contains("panicked"), "{}", said.err);
        }
    }
}

#[test]
fn a_directory_without_scenarios_is_an_error() {
    let scratch = Scratch::new("none");
    scratch.file("prod.net.yaml", b"vpclab: 1\n");
    let said = vpclab(&["run", &scratch.0.display().to_string()]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(
        said.err.starts_with("error: there is no scenario (*.yaml, not *.net.yaml) in `"),
        "{}",
        said.err
    );
}

/// Whoever closes the pipe has had enough, which is no failure and no panic.
#[test]
fn a_closed_pipe_is_quiet() {
    for (args, code) in [
        (&["run", "scenarios"][..], 0),
        (&["run", "tests/data/failing/wrong-reason.yaml"], 1),
        (&["explain"], 0),
        (&["schema"], 0),
        (&["completions", "bash"], 0),
    ] {
        let mut child = program()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // Closed before the program writes the first byte, or soon after.
        drop(child.stdout.take());
        let said = Said::of(child.wait_with_output().expect("the program ends"));
        assert_eq!(said.err, "", "{args:?}");
        assert_eq!(said.code, Some(code), "{args:?}");
    }
}

#[test]
fn colour_is_asked_for_or_left_out() {
    let ran = |color: &[&str], no_color: Option<&str>| {
        let mut command = program();
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let file = "tests/data/failing/wrong-reason.yaml";
        let bad = "tests/data/refused/typo-in-key.yaml";
        let said = Said::of(command.args(["run", file, bad]).args(color).output().expect("starts"));
        (said.out.contains('\u{1b}'), said.err.contains('\u{1b}'))
    };
    // A pipe is no terminal.
    assert_eq!(ran(&[], None), (false, false));
    assert_eq!(ran(&["--color", "always"], None), (true, true));
    assert_eq!(ran(&["--color", "never"], None), (false, false));
    assert_eq!(ran(&["--color", "auto"], Some("1")), (false, false));
    // A flag is a clearer word than the environment.
    assert_eq!(ran(&["--color", "always"], Some("1")), (true, true));
}

#[test]
fn json_is_json_and_the_same_however_it_is_made() {
    let run = |more: &[&str]| {
        let said = vpclab(&[&["run", "--json", "scenarios"][..], more].concat());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{more:?}");
        said.out
    };
    let first = run(&[]);
    let document: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert!(document.is_object(), "one document with named parts");
    for more in [&[][..], &["--threads", "1"], &["--threads", "2"], &["--reference"]] {
        assert_eq!(run(more), first, "{more:?}");
    }
    let failed = vpclab(&["run", "--json", "tests/data/failing/wrong-reason.yaml"]);
    assert_eq!(failed.code, Some(1));
    serde_json::from_str::<serde_json::Value>(&failed.out).expect("JSON");
}

#[test]
fn text_is_the_same_on_any_number_of_threads() {
    let first = vpclab(&["run", "scenarios"]);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    for more in [&["--threads", "2"][..], &["--threads", "256"], &["--reference"]] {
        let again = vpclab(&[&["run", "scenarios"][..], more].concat());
        assert_eq!(again.out, first.out, "{more:?}");
    }
}

/// Another seed, another fate; the same seed, the same.
#[test]
fn the_seed_is_a_flag() {
    let scratch = Scratch::new("seed");
    let file = scratch.file(
        "lossy.yaml",
        b"vpclab: 1\nname: lossy\nvpcs: {A: {cidr: 10.0.0.0/16, link: {loss: 50%}}}\n\
          instances: {a: {vpc: A}, b: {vpc: A}}\n\
          steps:\n- flows: {pairs: [a -> b], packets: 1000}\n",
    );
    let run = |seed: &str| vpclab(&["run", "--trace", "--seed", seed, &file]).out;
    assert_eq!(run("1"), run("1"));
    let outputs: std::collections::BTreeSet<_> = ["0", "1", "2"].map(run).into();
    assert!(outputs.len() > 1, "{outputs:?}");
}

#[test]
fn trace_explains_one_packet() {
    let trace = |more: &[&str]| vpclab(&[&["trace", FIRST, "--from"][..], more].concat());
    for proto in ["icmp", "udp", "tcp"] {
        let said = trace(&["b", "--to", "a", "--proto", proto]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{proto}");
        assert!(said.out.contains("delivered to a"), "{}", said.out);
        assert!(said.out.contains("answer: "), "{}", said.out);
        let to_c = ["b", "--to", "c", "--proto", proto, "--port", "80"];
        // Echo requests have no port.
        let said = trace(if proto == "icmp" { &to_c[..5] } else { &to_c });
        assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{proto}");
        assert!(said.out.contains("DROP transit at AB"), "{}", said.out);
        assert!(said.out.contains("would pass: "), "{}", said.out);
    }
    for (ends, words) in [
        (["x", "--to", "a"], "error: there is no instance `x` in the file"),
        (["b", "--to", "zz"], "error: there is no instance `zz` in the file"),
        (["-b", "--to", "a"], "unexpected argument"),
        (["b", "--to", "a b"], "error: --to: a label consists of"),
        (["b", "--to", "2001:db8::1"], "error: `b` has no IPv6 address"),
    ] {
        let said = trace(&ends);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{ends:?}");
        assert!(said.err.contains(words), "{}", said.err);
    }
    let said = vpclab(&["trace", "tests/data/refused/empty.yaml", "--from", "a", "--to", "b"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    let said = trace(&["b", "--to", "a", "--port", "80"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.starts_with("error: --port needs `--proto udp`"), "{}", said.err);
    let said = trace(&["b", "--to", "a", "--size", "1473"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("DROP too-big at AB"), "{}", said.out);
    let said = trace(&["b", "--to", "a", "--proto", "tcp", "--size", "9"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.starts_with("error: --size needs `--proto icmp`"), "{}", said.err);
    let said = trace(&["b", "--to", "c", "--json"]);
    assert_eq!(said.code, Some(1));
    serde_json::from_str::<serde_json::Value>(&said.out).expect("JSON");
}

/// Warnings fail, hints only with `--strict`; what cannot be read is code 2 beside what can.
#[test]
fn lint_tells_warnings_from_hints() {
    const WARNING: &str = "tests/data/lint/no-return-route.yaml";
    const HINT: &str = "tests/data/lint/unused-peering.yaml";
    const NOTHING: &str = "tests/data/lint/fine/unused-peering.yaml";
    const REFUSED: &str = "tests/data/refused/typo-in-key.yaml";
    for (args, code, first) in [
        (&[WARNING][..], 1, "warning[no-return-route] table A: nothing answers over "),
        (&[HINT], 0, "hint[unused-peering] peering AB: no table of A or B leads into it\n  help: "),
        (&["--strict", HINT], 1, "hint[unused-peering] "),
        (&["--strict", NOTHING], 0, "0 warnings, 0 hints in 1 file\n"),
        (&[NOTHING, HINT], 0, "tests/data/lint/unused-peering.yaml\nhint["),
        (&["--after", FIRST], 0, "0 warnings, 0 hints in 1 file\n"),
        (&[REFUSED, WARNING], 2, "tests/data/lint/no-return-route.yaml\nwarning["),
    ] {
        let said = vpclab(&[&["lint"], args].concat());
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
        assert!(said.out.starts_with(first), "{args:?}: {}", said.out);
        let quiet = !args.contains(&REFUSED);
        assert_eq!(said.err.is_empty(), quiet, "{args:?}: {}", said.err);
    }
    let said = vpclab(&["lint", "--json", WARNING, REFUSED]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let finding = &report["files"][0]["findings"][0];
    assert_eq!(finding["rule"], "no-return-route");
    assert_eq!(finding["subject"]["name"], "A");
    assert_eq!(report["summary"]["warnings"], 2);
    assert_eq!(report["could_not_run"][0]["file"], REFUSED);
}

/// What a figure is, whatever its value: no test asserts a time.
#[test]
fn bench_measures_a_network_and_says_what_becomes_of_its_packets() {
    let short = ["--rounds", "1", "--sample", "1", "--json"];
    let said = vpclab(&[&["bench", "--network", FIRST][..], &short].concat());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(report["machine"]["cycles"], serde_json::Value::Null);
    let topic = &report["topics"][0];
    assert!(topic["note"].as_str().is_some_and(|note| note.contains(" % delivered")), "{topic}");
    assert_eq!(topic["rows"][0]["unit"], "ns/packet");
    assert!(topic["rows"][0]["value"]["min"].as_f64() > Some(0.0), "{topic}");

    let said = vpclab(&[&["bench", "--only", "verdicts,changes"][..], &short].concat());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(report["topics"][0]["rows"].as_array().map(Vec::len), Some(5));
    let rows = report["topics"][1]["rows"].as_array().expect("rows");
    for unit in ["Mpps", "us"] {
        assert!(rows.iter().any(|row| row["unit"] == unit), "no {unit}: {rows:?}");
    }
    assert_eq!(vpclab(&["bench", "--only", "nonsense"]).code, Some(2));
    let refused = "tests/data/refused/typo-in-key.yaml";
    assert_eq!(vpclab(&["bench", "--network", refused]).code, Some(2));
}

#[test]
fn explain_knows_labels_and_codes() {
    for (topic, words) in [
        ("transit", "transit  (AWS Reachability Analyzer: PCX_REQUIRES_ADDRESS_IN_VPC_CIDR)"),
        ("TRANSIT", "What to do: "),
        ("BAD_STATE_ROUTE", "blackhole  ("),
        ("misdelivered", "another host that has the same address"),
        ("dns-option-off", "`AllowDnsResolutionFromRemoteVpc`"),
        ("hub-transit", "(A warning of `vpclab lint`.)"),
        ("E0201", "A key that the format does not have"),
        ("e0502", "E0502"),
    ] {
        let said = vpclab(&["explain", topic]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{topic}");
        assert!(said.out.contains(words), "no `{words}` in\n{}", said.out);
    }
    // Two reasons share this code.
    let said = vpclab(&["explain", "ENI_SOURCE_DEST_CHECK_RESTRICTION"]);
    assert!(said.out.contains("source-check") && said.out.contains("dest-check"), "{}", said.out);
    for (topic, help) in [
        ("transitt", "did you mean `transit`?"),
        ("NO_ROUTE_TO_DESTINATON", "did you mean `NO_ROUTE_TO_DESTINATION`?"),
        ("weather", "`vpclab explain` lists everything"),
    ] {
        let said = vpclab(&["explain", topic]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{topic}");
        assert!(said.err.contains(help), "no `{help}` in\n{}", said.err);
    }
    let all = vpclab(&["explain"]);
    assert!(all.out.contains("\npeering-gone ") && all.out.contains("\nE0504 "), "{}", all.out);
    let json = vpclab(&["explain", "--json", "transit"]);
    serde_json::from_str::<serde_json::Value>(&json.out).expect("JSON");
}

#[test]
fn schema_completions_and_help_are_printed() {
    for args in [&["schema"][..], &["schema", "--network"]] {
        let said = vpclab(args);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        let schema: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert!(schema["definitions"]["vpc"].is_object());
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = vpclab(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert!(said.out.contains("vpclab") && said.out.contains("explain"), "{shell}");
    }
    let help = vpclab(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(help.out.contains("Exit codes: 0 "), "{}", help.out);
    for command in ["run", "check", "trace", "lint", "bench", "explain", "schema", "completions"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "no `{command}` in\n{}", help.out);
        assert_eq!(vpclab(&[command, "--help"]).code, Some(0), "{command}");
    }
    assert!(vpclab(&["--version"]).out.starts_with("vpclab "));
}

#[test]
fn a_wrong_flag_is_code_2_on_standard_error() {
    for args in [
        &["run"][..],
        &["run", "--no-such-flag", FIRST],
        &["run", "--threads", "0", FIRST],
        &["run", "--seed", "-1", FIRST],
        &["fly"],
        &["completions", "cmd"],
        &[],
    ] {
        let said = vpclab(args);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!said.err.is_empty(), "{args:?}");
    }
}

#[test]
fn verbose_speaks_on_standard_error_only() {
    let quiet = vpclab(&["run", FIRST]);
    let loud = vpclab(&["-v", "run", FIRST]);
    assert_eq!(quiet.out, loud.out);
    assert!(loud.err.contains("ping b -> a"), "{}", loud.err);
}

/// Captures and reports are written where they are asked for, and nothing is overwritten unasked.
#[test]
fn files_are_written_and_not_overwritten() {
    let scratch = Scratch::new("files");
    let junit = scratch.0.join("junit.xml").display().to_string();
    let pcap = scratch.0.join("pcap").display().to_string();
    let run = |more: &[&str]| {
        vpclab(&[&["run", FIRST, "--junit", &junit, "--pcap", &pcap][..], more].concat())
    };
    let said = run(&[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let report = fs::read_to_string(&junit).expect("a report");
    assert!(report.starts_with("<?xml"), "{report}");
    let captures: Vec<Vec<u8>> = files(Path::new(&pcap));
    assert_eq!(captures.len(), 1);
    // The section header of pcapng.
    assert_eq!(captures[0].get(..4), Some(&[0x0a, 0x0d, 0x0d, 0x0a][..]));
    assert_eq!(run(&[]).code, Some(2));
    let said = run(&["--force"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(files(Path::new(&pcap)), captures);
}

#[test]
fn flow_logs_are_written_one_folder_for_each_scenario() {
    const LESSON: &str = "scenarios/lessons/flow-logs.yaml";
    let scratch = Scratch::new("flow-logs");
    let logs = scratch.0.join("logs").display().to_string();
    let run = |more: &[&str]| vpclab(&[&["run", LESSON, "--flow-logs", &logs][..], more].concat());
    let said = run(&[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let folder = Path::new(&logs).join("flow-logs");
    let texts = files(&folder);
    assert_eq!(texts.len(), 2, "those that the file declares");
    assert_eq!(run(&[]).code, Some(2), "what exists is left alone");
    assert_eq!(run(&["--force"]).code, Some(0));
    assert_eq!(files(&folder), texts);

    // Compressed they say the same, and the same bytes come of every run.
    let packed = ["one", "two"].map(|name| {
        let logs = scratch.0.join(name).display().to_string();
        let said = vpclab(&["run", LESSON, "--flow-logs", &logs, "--flow-logs-gzip"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        files(&Path::new(&logs).join("flow-logs"))
    });
    assert_eq!(packed[0], packed[1]);
    for (packed, text) in packed[0].iter().zip(&texts) {
        let mut unpacked = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
        std::io::Read::read_to_end(&mut decoder, &mut unpacked).expect("a gzip file");
        assert_eq!(&unpacked, text);
    }

    // A scenario without flow logs has one of each of its three VPCs.
    let all = scratch.0.join("all").display().to_string();
    assert_eq!(vpclab(&["run", FIRST, "--flow-logs", &all]).code, Some(0));
    let folders = fs::read_dir(&all).expect("a directory of folders");
    let folder = folders.map(|entry| entry.expect("an entry").path()).next();
    let texts = files(&folder.expect("one folder"));
    assert_eq!(texts.len(), 3);
    let header = b"version account-id interface-id srcaddr";
    assert!(texts.iter().all(|text| text.starts_with(header)));
}

/// The contents of all files of a directory, sorted by name.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a directory of captures");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a capture")).collect()
}

/// What `run` refuses, `check` refuses: a capture that is missing, as well.
#[test]
fn check_refuses_what_run_refuses() {
    for file in ["capture-missing", "overlapping-cidrs", "typo-in-key", "empty"] {
        let path = format!("tests/data/refused/{file}.yaml");
        let (run, check) = (vpclab(&["run", &path]), vpclab(&["check", &path]));
        assert_eq!((run.code, check.code), (Some(2), Some(2)), "{file}");
        assert_eq!(run.err, check.err, "{file}");
    }
}
