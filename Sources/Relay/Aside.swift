/// Files in one folder below `skein/lost`: what was cut since the source has lost it, and files that
/// are no part of the log any more, or never were. Nobody reads them; a person may want to look.
struct Aside: Sendable, Hashable {
    /// The folder's name.
    var name: String
    /// Bytes of its files.
    var bytes: UInt64
    /// When they were put there, seconds since 1970.
    var changedSeconds: Int64
}

extension RelayDirectory {
    /// Where files are put aside.
    var lost: String { path + "/skein/lost" }

    /// What was put aside, by name.
    func aside() -> [Aside] {
        Folder.names(lost).sorted().compactMap { name -> Aside? in
            let folder = lost + "/" + name
            guard Folder.isFolder(folder) else { return nil }
            let bytes = Folder.names(folder).reduce(UInt64(0)) {
                $0 + Folder.size(folder + "/" + $1)
            }
            // Of the folder: a file that is moved keeps its own time.
            return Aside(name: name, bytes: bytes, changedSeconds: Folder.changed(folder))
        }
    }

    /// Removes one folder's files, and the folder. A crash in between leaves some, which count as
    /// put aside at that time.
    ///
    /// - Returns: whether it has gone; what else somebody has put there stays, and it with that.
    func removeAside(_ name: String) throws(RelayError) -> Bool {
        let folder = lost + "/" + name
        for file in Folder.names(folder) where Folder.isFile(folder + "/" + file) {
            try Folder.remove(folder + "/" + file)
        }
        Folder.removeEmpty(folder)
        return !Folder.exists(folder)
    }
}
