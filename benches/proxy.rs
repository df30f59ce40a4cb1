//! Compares `nexus proxy` with nginx as a plain reverse proxy, in front of the same server.
//!
//! `cargo bench --bench proxy` needs nginx and wrk. Both proxies pass answers of 1 KiB from an nginx with one worker:
//! the nginx in the middle has one worker, too, keeps its connections, and does not buffer. It prints the requests per
//! second over 64 connections, the median latency over one, and how much memory nexus took. It fails below 0.45 of
//! nginx's requests per second, or above 1.3 of its latency.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nexus::sandbox::Settings;

mod figures;
mod stage;

use figures::{Figure, Limit, Unit};
use stage::Stage;

/// How often each of the two is measured, in turn.
const ROUNDS: usize = 5;
/// The least share of nginx's requests per second.
const RATE: f64 = 0.45;
/// The most that the median latency may be of nginx's.
const LATENCY: f64 = 1.3;

fn main() -> Result<ExitCode> {
    let home = tempfile::tempdir()?;
    let (upstream, middle) = (free_port()?, free_port()?);
    let answers = format!("default_type text/plain; return 200 {};", "x".repeat(1_024));
    let _upstream = nginx(home.path(), "upstream", upstream, &answers, "")?;
    let pass = "proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;";
    let api = format!("upstream api {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}");
    let _middle = nginx(home.path(), "middle", middle, pass, &api)?;
    let stage = Stage::new(Settings::default(), Some(&format!("http://127.0.0.1:{upstream}")))?;
    let (proxy, url, key) = proxy(&stage)?;

    let urls = [format!("http://127.0.0.1:{middle}"), url];
    let [mut rates, mut medians] = [[const { Vec::new() }; 2], [const { Vec::new() }; 2]];
    for _ in 0..ROUNDS {
        for (at, url) in urls.iter().enumerate() {
            rates[at].push(wrk(url, &key, 64)?.0);
            medians[at].push(wrk(url, &key, 1)?.1);
        }
    }
    println!("most memory of nexus: {} KiB", stage::peak_memory(&proxy.0).unwrap_or_default());
    let figure = |name: &str, [other, nexus]: [f64; 2], unit, limit| Figure {
        name: format!("nexus proxy, {name}"),
        nexus,
        other,
        with: "nginx".into(),
        unit,
        limit,
    };
    let figures = [
        figure("64 connections", rates.map(median), Unit::PerSecond, Limit::AtLeast(RATE)),
        figure("latency of one connection", medians.map(median), Unit::Microseconds, Limit::AtMost(LATENCY)),
    ];
    figures::report("proxy", &figures, true)
}

/// The median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A process that ends with this program.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Starts an nginx with one worker. `location` is what it does, `more` is beside the server.
fn nginx(home: &Path, name: &str, port: u16, location: &str, more: &str) -> Result<Running> {
    let folder = home.join(name);
    std::fs::create_dir(&folder)?;
    let path = |file: &str| folder.join(file).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}; ", path(kind)))
        .concat();
    let config = format!(
        "worker_processes 1; daemon off; master_process off; pid {}; error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 100000000; {temporary}{more}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }} }}\n",
        path("pid"),
    );
    std::fs::write(folder.join("nginx.conf"), config)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf")).args(["-e", "stderr"]);
    let running = Running(command.spawn().context("nginx, which has to be installed")?);
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < until, "nginx does not listen");
        sleep(Duration::from_millis(10));
    }
    Ok(running)
}

/// Starts `nexus proxy`. Returns its URL and key, too.
fn proxy(stage: &Stage) -> Result<(Running, String, String)> {
    let mut running = Running(stage.nexus(&["proxy"]).stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(running.0.stdout.take().context("its stdout")?).lines();
    let mut line = || lines.next().context("a line")?.context("of text");
    let (url, key) = (line()?, line()?);
    Ok((running, url, key))
}

/// Requests per second, and the median latency in microseconds.
fn wrk(url: &str, key: &str, connections: u32) -> Result<(f64, f64)> {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--duration", "2s", "--latency", "--connections", &connections.to_string()]);
    // Of a benchmark's own server only.
    let header = format!("x-api-key: {key}");
    let output = command.args(["--header", &header, &format!("{url}/v1/models")]).output();
    let output = String::from_utf8(output.context("wrk, which has to be installed")?.stdout)?;
    ensure!(!output.contains("Non-2xx") && !output.contains("Socket errors"), "{output}");
    let value = |name: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name)).with_context(|| output.clone())?;
        Ok::<_, anyhow::Error>(line.trim().to_owned())
    };
    let median = value("50%")?;
    let split = median.find(|c: char| c.is_alphabetic()).context("a unit")?;
    let unit = match &median[split..] {
        "us" => 1.0,
        "ms" => 1_000.0,
        _ => 1_000_000.0,
    };
    Ok((value("Requests/sec:")?.parse()?, median[..split].parse::<f64>()? * unit))
}
