package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"causeway": main})
}

// TestScripts runs the command lines in testdata/script as a user would type
// them, and looks at what they print and how they end.
func TestScripts(t *testing.T) {
	if isolated(t) {
		return
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // commands end at once, also with the race detector
			for i := range 2 {
				port, err := freePort()
				if err != nil {
					return err
				}
				e.Setenv(fmt.Sprintf("PORT%d", i+1), fmt.Sprint(port))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await":  await,
			"expand": expand,
			"code":   code,
		},
	})
}

// freePort is a UDP port of loopback that was free a moment ago.
func freePort() (int, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

// await runs a command again and again until it succeeds and prints a text:
//
//	await 'snapshot 2' causeway pop status
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await TEXT COMMAND…")
	}
	var stdout, stderr string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		stdout, stderr = ts.ReadFile("stdout"), ts.ReadFile("stderr")
		if err == nil && strings.Contains(stdout, args[0]) {
			return
		}
	}
	ts.Fatalf("waited in vain for %q from %q; at last it said\n%s%s", args[0], args[1:], stdout, stderr)
}

// expand replaces $VARIABLES in files.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// code runs a command and looks at its exit code:
//
//	code 3 causeway pop check no-such-file
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		coded, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = coded.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}
