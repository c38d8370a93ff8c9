package lab

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// guard is a process that outlives us by a moment: when we end without having
// said so, however that came, it takes the lab down.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// disarm is the byte that tells the guard that all is well.
const disarm = '.'

// startGuard starts `causeway lab guard NAME`, out of reach of a Ctrl-C.
func startGuard(exe, lab string) (*guard, error) {
	cmd := exec.Command(exe, "lab", "guard", lab)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the lab's guard: %w", err)
	}
	return &guard{cmd: cmd, in: in}, nil
}

// release ends the guard without its doing anything. It may be called twice, and on nil.
func (g *guard) release() {
	if g == nil {
		return
	}
	if g.in == nil {
		return
	}
	g.in.Write([]byte{disarm})
	g.in.Close()
	g.in = nil
	g.cmd.Wait()
}

// Guard is the guard's own body: it waits for the end of its input and takes
// the lab down unless it was told not to.
func Guard(lab string, in io.Reader) error {
	said, _ := io.ReadAll(in)
	if len(said) > 0 && said[0] == disarm {
		return nil
	}
	fmt.Fprintf(os.Stderr, "lab %s: its owner ended without taking it down; doing that now\n", lab)
	return Down(lab)
}
