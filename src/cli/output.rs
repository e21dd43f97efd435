//! The folder that a run writes into. Files appear whole or not at all; only folders that karpsim made are written
//! over.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The file that marks a folder as karpsim's.
const MARKER: &str = ".karpsim";
const MARKER_TEXT: &str = "karpsim writes its results here and writes over what it wrote before.\n";

/// A folder of results.
pub struct Folder {
    path: PathBuf,
    written: Vec<PathBuf>,
}

impl Folder {
    /// The folder of a scenario's results: `--out`, or `reports/NAME` of the working directory.
    pub fn of_run(out: Option<&Path>, name: &str, force: bool) -> Result<Folder> {
        let by_name = Path::new("reports").join(name);
        Folder::new(out.unwrap_or(&by_name), force)
    }

    /// Says no to a folder with somebody else's files, unless `force`. Creates nothing yet.
    pub fn new(path: &Path, force: bool) -> Result<Folder> {
        let shown = path.display();
        if path.exists() && !path.is_dir() {
            bail!("{shown} is no folder: name another one with --out");
        }
        let foreign = path.is_dir() && !path.join(MARKER).exists() && !is_empty(path)?;
        if foreign && !force {
            bail!(
                "{shown} holds files that karpsim did not make: name another folder with --out, or add --force"
            );
        }
        Ok(Folder { path: path.to_owned(), written: Vec::new() })
    }

    /// Makes the folder and its marker.
    fn create(&self) -> Result<()> {
        let what = || format!("{} cannot be written", self.path.display());
        fs::create_dir_all(&self.path).with_context(what)?;
        let marker = self.path.join(MARKER);
        if !marker.exists() {
            fs::write(&marker, MARKER_TEXT).with_context(what)?;
        }
        Ok(())
    }

    /// Opens a file to be written bit by bit; [`Stream::finish`] puts it in its place.
    pub fn stream(&mut self, name: &str) -> Result<Stream> {
        self.create()?;
        let path = self.path.join(name);
        let partial = self.path.join(format!(".{name}.partial"));
        let file = File::create(&partial)
            .with_context(|| format!("{} cannot be written", partial.display()))?;
        self.written.push(path.clone());
        Ok(Stream { path, partial, writer: BufWriter::with_capacity(1 << 16, file) })
    }

    /// Writes a whole file.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut stream = self.stream(name)?;
        stream.write(bytes)?;
        stream.finish()
    }

    /// Opens a file in its place to write line by line, so that what is written survives the end of the program.
    /// Without `keep` it starts empty.
    pub fn append(&mut self, name: &str, keep: bool) -> Result<File> {
        self.create()?;
        let path = self.path.join(name);
        let mut options = File::options();
        options.create(true).write(true).append(keep).truncate(!keep);
        options.open(&path).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The text of a file that an earlier run of the program wrote.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.path.join(name);
        if !path.exists() {
            return Ok(None);
        }
        // What is torn in the middle of a character is torn all the same.
        let bytes =
            fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The names of what was written.
    pub fn names(&self) -> String {
        self.written.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    /// What was written, in order.
    pub fn written(&self) -> &[PathBuf] {
        &self.written
    }
}

fn is_empty(path: &Path) -> Result<bool> {
    let mut entries =
        fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(entries.next().is_none())
}

/// A file under way. Dropped without [`Stream::finish`] it leaves what was there before.
pub struct Stream {
    path: PathBuf,
    partial: PathBuf,
    writer: BufWriter<File>,
}

impl Stream {
    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let path = &self.path;
        self.writer
            .write_all(bytes)
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Puts the file in its place.
    pub fn finish(mut self) -> Result<()> {
        let what = || format!("{} cannot be written", self.path.display());
        self.writer.flush().with_context(what)?;
        fs::rename(&self.partial, &self.path).with_context(what)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.partial);
    }
}
