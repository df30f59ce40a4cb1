//! A PostgreSQL server and a pgbouncer in transaction mode, in a folder of their own. They run as an unprivileged user
//! and end with the tests.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use tempfile::TempDir;

/// The user that the servers run as if the tests run as root.
const USER: &str = "nobody";

pub(crate) struct Server {
    folder: PathBuf,
    bin: PathBuf,
    port: u16,
    bouncer_port: u16,
    /// Creates the tables that new databases are copies of.
    tables: Once,
}

/// The server of all tests.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// Another server, which one test at a time may stop and start again.
pub(crate) fn restartable() -> MutexGuard<'static, Server> {
    static SERVER: OnceLock<Mutex<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Mutex::new(Server::start())).lock().unwrap_or_else(PoisonError::into_inner);
    // A test that has failed may have left it down.
    if !server
        .command("pg_ctl")
        .args(["-D", &server.data(), "status"])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success()
    {
        server.up();
    }
    server
}

impl Server {
    /// Starts a server. It ends, and its folder is removed, when this process ends.
    fn start() -> Self {
        let folder = TempDir::with_prefix("nexus-postgres-").unwrap().keep();
        let server = Self { bin: bin(), port: free_port(), bouncer_port: free_port(), folder, tables: Once::new() };
        if is_root() {
            let chown = Command::new("chown").arg(USER).arg(&server.folder).status().unwrap();
            assert!(chown.success(), "chown {USER}");
        }
        let data = server.data();
        server.run("initdb", &["-D", &data, "-U", "nexus", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        server.write(
            "data/postgresql.auto.conf",
            &format!(
                "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n\
                 max_connections = 60\nlog_connections = off\n",
                server.port,
                server.folder.display()
            ),
        );
        server.write(
            "pgbouncer.ini",
            &format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n\
                 max_client_conn = 2000\ndefault_pool_size = 10\nlogfile = {folder}/pgbouncer.log\n\
                 pidfile = {folder}/pgbouncer.pid\n",
                server.port,
                server.bouncer_port,
                folder = server.folder.display()
            ),
        );
        server.write(
            "data/pg_hba.conf",
            "local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
        );
        server.write("users", "\"nexus\" \"\"\n");
        server.up();
        server.succeed(server.command("pgbouncer").args(["-q", "-d", "pgbouncer.ini"]));
        server.end_with_this_process();
        server
    }

    /// The URL of a new database with tables.
    pub(crate) fn database(&self) -> String {
        self.tables.call_once(|| {
            let (url, schema) = (self.empty_database(), nexus::store::PostgresStore::schema());
            self.sql(&url, &schema);
            self.sql("postgres", &format!("ALTER DATABASE {} RENAME TO tables", Self::database_of(&url)));
        });
        self.copy_of("tables")
    }

    /// The URL of a new database without tables.
    pub(crate) fn empty_database(&self) -> String {
        self.copy_of("template1")
    }

    /// The URL of a copy of a database that is not in use.
    pub(crate) fn copy_of(&self, database: &str) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", Self::database_of(database)));
        format!("postgres://nexus@127.0.0.1:{}/{name}?sslmode=disable", self.port)
    }

    /// The URL of the same database behind pgbouncer.
    pub(crate) fn pooled(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.port), &format!(":{}/", self.bouncer_port))
    }

    /// The name of the database in a URL.
    pub(crate) fn database_of(url: &str) -> &str {
        url.rsplit('/').next().unwrap().split('?').next().unwrap()
    }

    /// A role without rights, named after the database in a URL, and the URL with this role.
    pub(crate) fn role(&self, url: &str, options: &str) -> (String, String) {
        let role = format!("role_{}", Self::database_of(url));
        self.sql(url, &format!("CREATE ROLE {role} LOGIN {options}"));
        (role.clone(), url.replace("nexus@", &format!("{role}@")))
    }

    /// A server, and a pooler before it, that accept only TLS over TCP, with this certificate and key in PEM.
    pub(crate) fn with_tls(certificate: &str, key: &str) -> Self {
        let server = Self::start();
        server.write("server.crt", certificate);
        server.write("server.key", key);
        // The server accepts only a key of its own user.
        server.run("sh", &["-c", "cp server.key own.key && chmod 600 own.key"]);
        let folder = server.folder.display();
        let settings = server.folder.join("data/postgresql.auto.conf");
        let tls = format!("ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/own.key'\n");
        let settings = fs::read_to_string(settings).unwrap();
        server.write("data/postgresql.auto.conf", &(settings + &tls));
        server.write("data/pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
        server.down();
        server.up();
        let pooler = fs::read_to_string(server.folder.join("pgbouncer.ini")).unwrap();
        let pooler = pooler.replace("* = host=127.0.0.1", &format!("* = host={folder}"));
        let tls = format!(
            "client_tls_sslmode = require\nclient_tls_cert_file = {folder}/server.crt\n\
             client_tls_key_file = {folder}/own.key\n"
        );
        server.write("pgbouncer.ini", &(pooler + &tls));
        server.run("sh", &["-c", "kill $(cat pgbouncer.pid); while [ -e pgbouncer.pid ]; do sleep 0.1; done"]);
        server.succeed(server.command("pgbouncer").args(["-q", "-d", "pgbouncer.ini"]));
        server
    }

    /// The URL of the same database over the Unix socket.
    pub(crate) fn over_socket(&self, url: &str) -> String {
        let database = Self::database_of(url);
        format!("postgres://nexus@/{database}?host={}&port={}", self.folder.display(), self.port)
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL in a database, and returns the rows without headings.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.succeed(&mut self.psql_command(database, sql))
    }

    /// Starts to run SQL in a database.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Child {
        self.psql_command(database, sql).stdout(Stdio::null()).spawn().unwrap()
    }

    fn psql_command(&self, database: &str, sql: &str) -> Command {
        let words = ["-d", Self::database_of(database), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql];
        self.client_command("psql", &words)
    }

    /// Runs a client program, and returns what it prints.
    #[allow(dead_code, reason = "only the benchmark needs it")]
    pub(crate) fn client(&self, program: &str, words: &[&str]) -> String {
        self.succeed(&mut self.client_command(program, words))
    }

    fn client_command(&self, program: &str, words: &[&str]) -> Command {
        let mut client = self.command(program);
        // The host's own connections may need TLS.
        client.args(["-h", &self.folder.to_string_lossy(), "-p", &self.port.to_string(), "-U", "nexus"]).args(words);
        client
    }

    /// Ends the server at once, as a crash does.
    pub(crate) fn down(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// Starts the server again.
    pub(crate) fn up(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-l", "log", "-w", "start"]);
    }

    /// Restarts the server as a standby, and as the primary when `work` is done.
    pub(crate) fn as_standby(&self, work: impl FnOnce()) {
        let signal = self.folder.join("data/standby.signal");
        self.down();
        fs::write(&signal, "").unwrap();
        self.up();
        work();
        self.down();
        fs::remove_file(&signal).unwrap();
        self.up();
    }

    fn data(&self) -> String {
        self.folder.join("data").to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    fn run(&self, program: &str, words: &[&str]) {
        self.succeed(self.command(program).args(words));
    }

    /// A program of PostgreSQL as the unprivileged user, in the server's folder.
    fn command(&self, program: &str) -> Command {
        let path = match program {
            "pgbouncer" => "/usr/sbin/pgbouncer".into(),
            "sh" => "sh".into(),
            program => self.bin.join(program),
        };
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", USER, "--regid", "nogroup", "--clear-groups"]).arg(path);
                command
            }
            false => Command::new(path),
        };
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Runs a command, whose output goes to a file: a server that it starts keeps its streams open.
    fn succeed(&self, command: &mut Command) -> String {
        let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        command.stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
        let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let read = |file: &tempfile::NamedTempFile| fs::read_to_string(file.path()).unwrap();
        assert!(status.success(), "{command:?}: {}{}", read(&out), read(&err));
        read(&out).trim_end().to_owned()
    }

    /// A shell that waits for the end of this process, which closes the pipe. A signal to all processes of the tests
    /// does not end it before that.
    #[expect(clippy::zombie_processes, reason = "it ends after this process")]
    fn end_with_this_process(&self) {
        let script = "trap '' HUP INT TERM; read -r line; kill \"$(cat pgbouncer.pid)\"; \
                      \"$1/pg_ctl\" -D data -m immediate -w stop; rm -rf \"$2\"";
        let mut shell = self.command("sh");
        shell.args(["-c", script, "sh"]).arg(&self.bin).arg(&self.folder);
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::mem::forget(shell.stdin);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// The newest installed version of PostgreSQL.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("the package postgresql is installed");
    let newest = versions.map(|version| version.unwrap().path()).max_by_key(|path| version(path));
    newest.expect("the package postgresql is installed").join("bin")
}

fn version(path: &Path) -> u32 {
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
}

/// A port of loopback that nothing listens on.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
