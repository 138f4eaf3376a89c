//! What comes over HTTP and cannot be meant well: foreign pages, half-sent requests, bodies made to grow.

mod bodies;
mod connections;
mod headers;
mod pages;

use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::crash_rig;
use crate::server::{DEADLINE, Server, spawn};

/// A started server that listens as its configuration says.
struct Running {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Running {
    /// `before` are commands of the shell that starts it.
    fn start(before: &str, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("riskgrid.toml");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(crash_rig::binary())
            .args(["serve", "--config"])
            .arg(&file)
            .arg("--data-dir")
            .arg(folder.path().join("data"));
        let (process, lines) = spawn(&mut command);
        let line = lines
            .recv_timeout(DEADLINE)
            .expect("the server says where it serves");
        let port = line.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
        Self {
            process,
            address: format!("127.0.0.1:{port}"),
            _folder: folder,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

/// The status of the answer to a request that is sent as it is written here; 0 when the connection ends without one.
async fn status_of(address: &str, request: impl AsRef<[u8]>) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may answer before it has read all.
    let _ = stream.write_all(request.as_ref()).await;
    read_status(&mut stream).await
}

async fn read_status(stream: &mut TcpStream) -> u16 {
    let head = read_head(stream).await;
    head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// Reads until the end of the head.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte).await {
                Ok(1) => head.push(byte[0]),
                _ => break,
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("an answer");
    String::from_utf8(head).unwrap()
}

/// A whole number of `/metrics`, by its name and labels.
async fn metric(server: &Server, name: &str) -> u64 {
    let page = server.client.get(format!("{}/metrics", server.url));
    let page = page.send().await.unwrap().text().await.unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    line.parse::<f64>().unwrap() as u64
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
