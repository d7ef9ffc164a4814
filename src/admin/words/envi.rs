use crate::admin::host::{Memory, host_name, os_version};
use crate::version;

/// `envi`: where the server runs. The keys are those of a Java server, in its order; what only a JVM
/// has says so.
pub(super) fn answer() -> String {
    let memory = Memory::now();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let folder = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    let values = [
        ("zookeeper.version", version::FULL.into()),
        ("host.name", host_name()),
        ("java.version", NO_JVM.into()),
        ("java.vendor", NO_JVM.into()),
        ("java.home", NO_JVM.into()),
        ("java.class.path", NO_JVM.into()),
        ("java.library.path", NO_JVM.into()),
        ("java.io.tmpdir", std::env::temp_dir().display().to_string()),
        ("java.compiler", NO_JVM.into()),
        ("os.name", "Linux".into()),
        ("os.arch", java_arch(std::env::consts::ARCH).into()),
        ("os.version", os_version()),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", folder),
        ("jvm.memory.free", format!("{}MB", memory.free)),
        ("jvm.memory.max", format!("{}MB", memory.max)),
        ("jvm.memory.total", format!("{}MB", memory.resident)),
    ];
    let lines = values.map(|(key, value)| format!("{key}={value}\n"));
    format!("Environment:\n{}", lines.concat())
}

fn java_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        other => other,
    }
}

const NO_JVM: &str = "<NA>";
