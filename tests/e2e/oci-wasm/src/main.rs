//! Pushes and pulls by the crate that `wkg` and `wash` push and pull with: `push FILE IMAGE`, `pull IMAGE FILE`.

use anyhow::{Context, bail};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oci_wasm::{WasmClient, WasmConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let client = WasmClient::new(Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    }));
    match words[..] {
        ["push", file, image] => push(&client, file, &image.parse()?).await,
        ["pull", image, file] => pull(&client, &image.parse()?, file).await,
        _ => bail!("push FILE IMAGE, or pull IMAGE FILE"),
    }
}

/// A component or core module, as its header says: the crate takes a module for a component without exports.
async fn push(client: &WasmClient, file: &str, image: &Reference) -> anyhow::Result<()> {
    let bytes = std::fs::read(file)?;
    let (config, layer) = if bytes.get(6) == Some(&1) {
        WasmConfig::from_raw_component(bytes, None)?
    } else {
        WasmConfig::from_raw_module(bytes, None)?
    };
    client
        .push(image, &RegistryAuth::Anonymous, layer, config, None)
        .await?;
    Ok(())
}

/// The one layer, and on standard output what its configuration says.
async fn pull(client: &WasmClient, image: &Reference, file: &str) -> anyhow::Result<()> {
    let (_, config, digest) = client
        .pull_manifest_and_config(image, &RegistryAuth::Anonymous)
        .await?;
    let pulled = client.pull(image, &RegistryAuth::Anonymous).await?;
    let layer = pulled.layers.first().context("no layer")?;
    std::fs::write(file, &layer.data)?;
    println!("{digest}");
    println!(
        "{} {} {}",
        config.architecture,
        config.os,
        config.layer_digests.join(" ")
    );
    if let Some(component) = config.component {
        println!("{} {}", component.imports.join(","), component.exports.join(","));
    }
    Ok(())
}
