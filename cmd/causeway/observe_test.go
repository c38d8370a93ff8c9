package main

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"causeway/internal/keys"
)

// TestObservationScripts runs the command lines in testdata/observe: what
// operators look at a PoP with. Each script has free ports PORT1–4 (UDP) and
// METRICS1–2 (TCP).
func TestObservationScripts(t *testing.T) {
	if isolated(t) {
		return
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/observe",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // commands end at once, also with the race detector
			for i := range 4 {
				port, err := freePort()
				if err != nil {
					return err
				}
				e.Setenv(fmt.Sprintf("PORT%d", i+1), fmt.Sprint(port))
			}
			for i := range 2 {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				e.Setenv(fmt.Sprintf("METRICS%d", i+1), l.Addr().String())
			}
			e.Setenv("XDG_CONFIG_HOME", e.WorkDir)
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await": await, "expand": expand, "code": code, "publickey": publicKey,
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
	})
}

// publicKey sets a variable to the public key of a key file:
//
//	publickey SEOUL state/pop.key
func publicKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: publickey VARIABLE FILE")
	}
	key, err := keys.LoadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Setenv(args[0], key.Public().String())
}
