//! The memory of a running command: hidden from other programs of its user, and independent of an answer's length.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;

use nexus::sandbox::{Endpoint, Gate, Piece, Scripted, Settings};

use crate::chat::{delta, signed_in, stop, stop_reason};
use crate::nexus::{Nexus, config, sandbox};
use crate::proxy::Proxy;

const MIB: usize = 1024 * 1024;

/// The most memory that a running process has had, in bytes.
fn peak_of(child: &Child) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// The most memory that a command has had when it begins to print. Its output must not fit into a pipe.
fn peak_at_output(nexus: &Nexus, arguments: &[&str]) -> usize {
    let mut child = nexus.command(arguments).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let peak = peak_of(&child);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 65_536, "{} bytes fit into a pipe", rest.len());
    let output = nexus.finish(child);
    assert_eq!(output.code, Some(0), "{output}");
    peak
}

/// A body of `length` bytes with as many of a unit as fit.
fn filled(length: usize, before: &str, unit: &str, after: &str) -> String {
    let count = (length - before.len() - after.len()) / unit.len();
    format!("{before}{}{after}", unit.repeat(count))
}

/// A process that is not dumpable has files in `/proc/PID` that belong to root.
#[test]
fn the_memory_of_a_sign_in_is_hidden_from_its_user() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;

    /// A user id that no system uses.
    const STRANGER: u32 = 54_321;

    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let root = fs::metadata(format!("/proc/{}", std::process::id())).unwrap().uid() == 0;
    let user = if root { STRANGER } else { fs::metadata(nexus.home()).unwrap().uid() };
    // A readable copy: the kernel always hides a program that its user cannot read.
    let program = nexus.path("program");
    fs::copy(env!("CARGO_BIN_EXE_nexus"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |mut command: Command| {
        if root {
            command.uid(user).gid(user);
        }
        command
    };
    if root {
        for path in [nexus.home().to_owned(), nexus.path("config.toml")] {
            chown(path, Some(user), Some(user)).unwrap();
        }
    }
    let owner = |id: u32| fs::metadata(format!("/proc/{id}/environ")).unwrap().uid();

    let mut other = as_user(Command::new("sleep")).arg("600").spawn().unwrap();
    let seen = owner(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(seen, user, "any other process is open to its user");

    let mut command = as_user(Command::new(program));
    command.env_clear().env("NEXUS_HOME", nexus.home()).args(["oauth", "start", "--no-browser"]);
    let mut started = nexus.watch(&mut command);
    started.url();
    assert_ne!(owner(started.id()), user);
    started.kill();
}

#[test]
fn a_long_answer_takes_no_more_memory_than_a_short_one() {
    use std::io::Read as _;

    const PIECE: usize = 16 * 1024;
    const MORE: usize = 8 * MIB;

    let (sandbox, nexus) = signed_in();
    let peak = |mib: usize| {
        let gate = Gate::new();
        let text = std::iter::repeat_n(delta(&"x".repeat(PIECE)), mib * MIB / PIECE);
        let end = [Piece::Wait(gate.clone()), stop_reason("end_turn"), stop()];
        sandbox.script(Endpoint::Messages, [Scripted::stream(text.chain(end))]);
        let mut child = nexus.command(&["chat", "x"]).spawn().unwrap();
        let (mut stdout, mut piece, mut left) = (child.stdout.take().unwrap(), vec![0; PIECE], mib * MIB);
        while left > 0 {
            let read = stdout.read(&mut piece).unwrap();
            assert!(read > 0, "it ended {left} bytes too early");
            left = left.saturating_sub(read);
        }
        let peak = peak_of(&child);
        gate.open();
        nexus.finish(child);
        peak
    };
    let (short, long) = (peak(1), peak(24));
    assert!(long < short + MORE, "{short} and {long} bytes");
}

#[test]
fn an_answer_in_one_piece_takes_at_most_four_times_its_size() {
    const LENGTH: usize = 2 * MIB;

    let (sandbox, nexus) = signed_in();
    let peak = |body: &str, arguments: &[&str]| {
        sandbox.script(Endpoint::Messages, [Scripted::text(200, "application/json", body)]);
        peak_at_output(&nexus, arguments)
    };
    let text = "x".repeat(200_000);
    let block = format!(r#"{{"type":"text","text":"{text}"}}"#);
    let small = format!(r#"{{"content":[{block}]}}"#);
    let base = peak(&small, &["chat", "x"]);
    let stream_json = &["chat", "x", "--output", "stream-json"];
    for (before, unit, after, arguments) in [
        (format!(r#"{{"content":[{block}"#), ",{}", "]}", &["chat", "x"][..]),
        (format!(r#"{{"content":[{block}],"usage":{{"input_tokens":[0"#), ",[]", "]}}", &["chat", "x"]),
        (r#"{"content":[{"type":"text","text":""#.into(), r"a\n", "\"}]}", stream_json),
        (r#"{"content":[{"type":"text","text":""#.into(), r"\ud83d", "\"}]}", &["chat", "x", "--json"]),
    ] {
        let body = filled(LENGTH, &before, unit, after);
        let peak = peak(&body, arguments);
        assert!(peak < base + 4 * LENGTH, "{unit:?} {arguments:?}: {base} and {peak} bytes");
    }
}

#[test]
fn a_completion_in_one_piece_takes_at_most_four_times_its_size() {
    const LENGTH: usize = 2 * MIB;

    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "dialect = \"openai\"");
    let peak = |body: &str| {
        sandbox.script(Endpoint::Completions, [Scripted::text(200, "application/json", body)]);
        peak_at_output(&nexus, &["chat", "x"])
    };
    let text = "x".repeat(200_000);
    let block = format!(r#"{{"type":"text","text":"{text}"}}"#);
    let message = |members: &str| format!(r#"{{"choices":[{{"finish_reason":"stop","message":{{{members}"#);
    let base = peak(&format!("{}}}}}]}}", message(&format!(r#""content":"{text}""#))));
    for (before, unit, after) in [
        (message(&format!(r#""content":[{block}"#)), ",{}", "]}}]}"),
        (message(&format!(r#""content":"{text}","tool_calls":[0"#)), ",{}", "]}}]}"),
    ] {
        let body = filled(LENGTH, &before, unit, after);
        let peak = peak(&body);
        assert!(peak < base + 4 * LENGTH, "{unit:?}: {base} and {peak} bytes");
    }
}

#[test]
fn a_list_of_models_takes_at_most_four_times_its_size() {
    const LENGTH: usize = 2 * MIB;

    let (sandbox, nexus) = signed_in();
    let ids = (0..100).map(|number| format!(r#"{{"id":"{number}-{}"}}"#, "x".repeat(2_000)));
    let ids = ids.collect::<Vec<_>>().join(",");
    let peak = |body: &str, arguments: &[&str]| {
        sandbox.script(Endpoint::Models, [Scripted::text(200, "application/json", body)]);
        peak_at_output(&nexus, arguments)
    };
    let base = peak(&format!("[{ids}]"), &["models"]);
    for (before, unit, after) in [
        (format!(r#"{{"data":[{ids}"#), ",{}", "]}"),
        (format!(r#"{{"data":[{ids},{{"id":"a","capabilities":[0"#), ",{}", "]}]}"),
    ] {
        let body = filled(LENGTH, &before, unit, after);
        let peak = peak(&body, &["models", "--json"]);
        assert!(peak < base + 4 * LENGTH, "{unit:?}: {base} and {peak} bytes");
    }
}

#[test]
fn a_list_of_models_is_bounded_in_all() {
    let page = |length: usize, id: &str| {
        filled(length, &format!(r#"{{"data":["{id}"],"has_more":true,"last_id":"{id}","x":""#), "x", "\"}")
    };
    let pages = |count: usize, length: usize| (0..count).map(|number| page(length, &number.to_string())).collect();
    let (sandbox, nexus) = signed_in();
    let many = format!("[{}\"a\"]", "\"a\",".repeat(10_000));
    for (pages, bound) in [
        (pages(3, 3 * MIB), "8 MiB"),
        (vec![page(9 * MIB, "a")], "8 MiB"),
        (pages(20, 100), "20 pages"),
        (vec![many], "10000 models"),
    ] {
        // No page is left for the next of the table.
        sandbox.script(Endpoint::Models, pages.into_iter().map(|page| Scripted::text(200, "application/json", &page)));
        let output = nexus.run(&["models"]);
        let expected = format!("error: [SERVER] answered with a list of models with more than {bound}\n");
        assert!(output.code == Some(1) && output.stderr.starts_with(&expected), "{output}");
    }
}

/// A file without end, as an argument and as stdin. The limit on memory is above that of the longest line of a batch.
#[test]
fn an_endless_file_is_refused_in_limited_memory() {
    const ENDLESS: &str = "/dev/zero";
    const NONE: &str = "/dev/null";

    let (sandbox, nexus) = signed_in();
    fs::create_dir(nexus.path("templates")).unwrap();
    std::os::unix::fs::symlink(ENDLESS, nexus.path("templates/endless.toml")).unwrap();
    nexus.write("prompts.jsonl", "{\"id\":1,\"prompt\":\"x\"}\n", 0o600);
    let asked = sandbox.requests().len();
    let limited = ["sh", "-c", "ulimit -v 1000000; exec \"$@\"", "sh"].map(str::to_owned);
    for (stdin, arguments) in [
        (NONE, &["chat", "x", "--schema", ENDLESS][..]),
        (NONE, &["chat", "x", "--system-file", ENDLESS]),
        (NONE, &["chat", "x", "-a", ENDLESS]),
        (NONE, &["chat", "x", "-t", "endless"]),
        (NONE, &["batch", ENDLESS]),
        (NONE, &["batch", "prompts.jsonl", "--system-file", ENDLESS]),
        (NONE, &["batch", "prompts.jsonl", "-t", "endless"]),
        (ENDLESS, &["chat", "-"]),
        (ENDLESS, &["chat", "x"]),
        (ENDLESS, &["chat", "x", "-a", "-"]),
        (ENDLESS, &["chat", "x", "--schema", "/dev/stdin"]),
        (ENDLESS, &["batch", "-"]),
    ] {
        let mut command = nexus.command_after(&limited, arguments);
        let output = nexus.finish(command.stdin(fs::File::open(stdin).unwrap()).spawn().unwrap());
        let is_refused = matches!(output.code, Some(1 | 2)) && output.stderr.contains("error: ");
        assert!(is_refused, "{arguments:?}: {output}");
    }
    assert_eq!(sandbox.requests().len(), asked);
}

/// Each of these would take more memory than is allowed if the proxy kept it.
#[test]
fn a_proxy_passes_bodies_on_as_they_come() {
    const LENGTH: usize = 64 * MIB;

    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let base = {
        assert_eq!(proxy.send("GET /v1/models", &[], b"").status, 200);
        peak_of(proxy.child())
    };
    // A program that reads slowly: others are served while it does not read at all.
    sandbox.script(Endpoint::Messages, [Scripted::text(200, "text/plain", &"x".repeat(LENGTH))]);
    let mut slow = proxy.connect();
    let bearer = format!("authorization: Bearer {}", proxy.key);
    slow.write_all(&proxy.request("POST /v1/messages", &[&bearer], b"{}")).unwrap();
    slow.read_exact(&mut [0]).unwrap();
    assert_eq!(proxy.send("GET /v1/models", &[], b"").status, 200);
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > LENGTH, "{} bytes", rest.len());
    assert!(peak_of(proxy.child()) < base + LENGTH / 4, "{base} and {} bytes", peak_of(proxy.child()));
    // Many large requests at once.
    let body = vec![b' '; 10 * MIB];
    thread::scope(|threads| {
        for _ in 0..6 {
            threads.spawn(|| proxy.send("POST /v1/messages", &[], &body));
        }
    });
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 7);
    assert!(peak_of(proxy.child()) < base + LENGTH / 4, "{base} and {} bytes", peak_of(proxy.child()));
}

/// The memory that the proxy holds for a program that reads nothing: what both of its connections buffer.
#[test]
fn programs_that_read_nothing_take_little_memory_of_a_proxy() {
    const PROGRAMS: usize = 48;
    /// Less than half of what hyper's own limits would allow.
    const EACH: usize = MIB / 2;

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let api = |url: &str| format!("api_url = \"{url}\"");
    nexus.configure(&config(&sandbox, "").replace(&api(&sandbox.origin()), &api(&format!("http://{address}"))));
    nexus.sign_in();
    let proxy = Proxy::start(&nexus, &[]);
    let bearer = format!("authorization: Bearer {}", proxy.key);
    let ask = || {
        let mut program = proxy.connect();
        program.write_all(&proxy.request("GET /v1/models", &[&bearer], b"")).unwrap();
        let (mut api, _) = server.accept().unwrap();
        assert!(api.read(&mut [0; 4_096]).unwrap() > 0);
        api.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").unwrap();
        api.set_nonblocking(true).unwrap();
        (program, api)
    };
    let piece = vec![b'x'; MIB];
    // Whether an API could still write something.
    let fill = |mut api: &TcpStream| {
        let mut is_written = false;
        while api.write(&piece).is_ok() {
            is_written = true;
        }
        is_written
    };
    let mut open = vec![ask()];
    let base = peak_of(proxy.child());
    open.extend((1..PROGRAMS).map(|_| ask()));
    loop {
        let filled = open.iter().filter(|(_, api)| fill(api)).count();
        // By its answer, the proxy has read what it reads.
        assert_eq!(proxy.send_as_is("GET /v1/models", &[], b"").status, 401);
        if filled == 0 {
            break;
        }
    }
    let peak = peak_of(proxy.child());
    assert!(peak < base + PROGRAMS * EACH, "{base} and {peak} bytes");
}
