package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// The daemon's files.
var fileChecks = []Check{
	{"state-dir", "state folder is there, and is the owner's only", func(_ context.Context, t *Target) outcome {
		info, err := t.System.Stat(t.StateDir)
		switch {
		case t.StateDir == "" || err != nil:
			return skip("there is none at %s", t.StateDir)
		case !info.IsDir():
			return fail(t.StateDir+" is no folder", "move it away")
		case info.Mode().Perm()&0o007 != 0:
			return warn(fmt.Sprintf("everybody may look into %s (mode %04o)", t.StateDir, info.Mode().Perm()), "chmod 700 "+t.StateDir)
		}
		return ok("mode %04o", info.Mode().Perm())
	}},
	{"key-file", "private key is the owner's only", func(_ context.Context, t *Target) outcome {
		file := filepath.Join(t.StateDir, "pop.key")
		info, err := t.System.Stat(file)
		switch {
		case err != nil:
			return skip("there is none at %s", file)
		case info.Mode().Perm()&0o077 != 0:
			return fail(fmt.Sprintf("others may read %s (mode %04o)", file, info.Mode().Perm()), "chmod 600 "+file+"; if others could log in here, revoke the PoP and enrol it anew")
		}
		return ok("mode %04o", info.Mode().Perm())
	}},
	{"disk", "there is room on the disk", func(_ context.Context, t *Target) outcome {
		free, total, err := t.System.FreeDisk(t.StateDir)
		switch {
		case err != nil:
			return skip("it cannot be asked: %v", err)
		case free < 200<<20:
			return fail(fmt.Sprintf("%d MiB of %d are free", free>>20, total>>20), "make room: history takes 512 MiB at the most, sessions little; journalctl --vacuum-size=200M often helps")
		case free < 1<<30:
			return warn(fmt.Sprintf("%d MiB of %d are free", free>>20, total>>20), "history may grow to 512 MiB; make room, or give the machine a larger disk")
		}
		return ok("%d of %d MiB free", free>>20, total>>20)
	}},
	{"disk-writable", "disk can be written", func(_ context.Context, t *Target) outcome {
		mounts, there := t.text("/proc/self/mounts")
		if !there || t.StateDir == "" {
			return skip("the kernel does not tell")
		}
		point, options := mountOf(mounts, t.StateDir)
		switch {
		case point == "":
			return skip("%s is on no disk that is known", t.StateDir)
		case hasOption(options, "ro"):
			return fail("the disk at "+point+" is read-only: sessions are not kept over a restart", "mount -o remount,rw "+point+", and look into dmesg for what made it so")
		}
		return ok("%s", point)
	}},
	{"last-good", "last good snapshot is kept", func(_ context.Context, t *Target) outcome {
		if t.PoP == nil {
			return skip("no PoP runs here")
		}
		for _, slot := range []string{"last-good-0", "last-good-1"} {
			if _, err := t.System.Stat(filepath.Join(t.StateDir, slot)); err == nil {
				return ok("%s is there", slot)
			}
		}
		return warn("no copy of the snapshot is in "+t.StateDir+"; a start without the file would fail", "is --state-dir the right one, and can it be written?")
	}},
	{"old-files", "no files were set aside", func(_ context.Context, t *Target) outcome {
		if found := t.first(filepath.Join(t.StateDir, "history"), ".aside-"); found != "" {
			return warn("a file of history was damaged and set aside: "+found, "look at the disk (dmesg, smartctl); delete the file when it is no longer wanted")
		}
		return ok("none")
	}},
	{"lab-left", "no lab was left running", func(_ context.Context, t *Target) outcome {
		if found := t.first("/run/causeway-lab", ""); found != "" {
			return warn(found+" is there: a lab runs, or was left", "causeway lab down")
		}
		return ok("none")
	}},
}

// first is the first file in a folder whose name contains a word.
func (t *Target) first(dir, word string) string {
	names, _ := t.System.List(dir)
	for _, name := range names {
		if strings.Contains(name, word) {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// mountOf is the mount point that a path is below, and its options.
func mountOf(mounts, path string) (point, options string) {
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 || f[1] != "/" && path != f[1] && !strings.HasPrefix(path, f[1]+"/") {
			continue
		}
		if len(f[1]) >= len(point) {
			point, options = f[1], f[3]
		}
	}
	return point, options
}

func hasOption(options, want string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == want {
			return true
		}
	}
	return false
}
