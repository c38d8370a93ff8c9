package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

type coded struct{ code int }

func (c coded) Error() string { return "coded" }
func (c coded) ExitCode() int { return c.code }

func TestCodeOf(t *testing.T) {
	child := exec.Command("sh", "-c", "exit 42").Run()
	_, noFile := os.Open("/no/such/file")
	for _, c := range []struct {
		name string
		err  error
		want Code
	}{
		{"nothing went wrong", nil, OK},
		{"something did", errors.New("x"), Failed},
		{"wrong use", Misuse("x"), Usage},
		{"wrong use, wrapped", fmt.Errorf("y: %w", Misuse("x")), Usage},
		{"a code of its own", &Error{Err: noFile, Code: Conflict}, Conflict},
		{"as the cause suggests", &Error{What: "read", Err: noFile}, NotFound},
		{"a file that is not there", noFile, NotFound},
		{"a socket nobody listens on", fmt.Errorf("dial: %w", syscall.ECONNREFUSED), NotFound},
		{"no permission", fmt.Errorf("open: %w", fs.ErrPermission), Denied},
		{"it exists", fmt.Errorf("make: %w", fs.ErrExist), Conflict},
		{"the port is taken", fmt.Errorf("bind: %w", syscall.EADDRINUSE), Conflict},
		{"too late", fmt.Errorf("wait: %w", context.DeadlineExceeded), Timeout},
		{"an error of another package that knows its code", fmt.Errorf("lab: %w", coded{2}), Usage},
		{"the command that was asked for", child, 42},
		{"a tool of ours", fmt.Errorf("swanctl: %w", child), Failed},
		{"joined errors", errors.Join(errors.New("x"), noFile), NotFound},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPrint(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"a plain error", errors.New("read x: no"), "causeway: read x: no\n"},
		{"with what was tried", &Error{What: "read x", Err: errors.New("no")}, "causeway: read x: no\n"},
		{"with a remedy", Misuse("no %s", "file").WithFix("give %s", "one"), "causeway: no file\n  fix: give one\n"},
		{"many places in a file begin at the margin", &Error{What: "x is refused", Err: errors.New("x:1:2: a\nx:3:4: b\n"), Fix: "mend"},
			"causeway: x is refused:\nx:1:2: a\nx:3:4: b\n  fix: mend\n"},
	} {
		var b strings.Builder
		Print(&b, c.err)
		if b.String() != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, b.String(), c.want)
		}
	}
}

func TestExitCodesAreExplained(t *testing.T) {
	for code := OK; code <= Timeout; code++ {
		if !strings.Contains(ExitCodes, fmt.Sprintf("\n  %d  ", code)) {
			t.Errorf("code %d is not in the help", code)
		}
	}
}
