//! The echo floor: a bare glommio server that answers each frame with a hollow reply of the length that
//! ZooKeeper's would have. It reads what is there, and answers all of it in one write.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};

use crate::wire;

/// Serves on `addr` until it is killed. One executor, where the process is pinned to.
pub(crate) fn serve(addr: SocketAddr, data_len: usize) -> Result<()> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("echo")
        .make()
        .map_err(|error| anyhow!("cannot start a glommio executor: {error}"))?;
    executor.run(async move {
        let listener =
            TcpListener::bind(addr).map_err(|error| anyhow!("cannot listen on {addr}: {error}"))?;
        loop {
            let stream =
                listener.accept().await.map_err(|error| anyhow!("cannot accept on {addr}: {error}"))?;
            glommio::spawn_local(async move {
                // A client that breaks off ends its own connection alone.
                let _ = echo(stream, data_len).await;
            })
            .detach();
        }
    })
}

async fn echo(mut stream: TcpStream, data_len: usize) -> Result<()> {
    stream.set_nodelay(true).map_err(io::Error::from)?;
    let mut input = vec![0; INPUT_LEN];
    let mut filled = 0;
    let mut output = Vec::with_capacity(OUTPUT_LEN);
    let mut handshaken = false;
    loop {
        match stream.read(&mut input[filled..]).await? {
            0 => return Ok(()),
            len => filled += len,
        }
        let mut taken = 0;
        while let Some(request) = wire::first_frame(&input[taken..filled])? {
            if handshaken {
                wire::append_hollow_reply(request, data_len, &mut output)?;
            } else {
                wire::append_connect_response(&mut output);
                handshaken = true;
            }
            taken += 4 + request.len();
        }
        input.copy_within(taken..filled, 0);
        filled -= taken;
        stream.write_all(&output).await.context("the client is gone")?;
        output.clear();
    }
}

/// Longer than any request of the bench, many times over.
const INPUT_LEN: usize = 64 << 10;
const OUTPUT_LEN: usize = 256 << 10;
