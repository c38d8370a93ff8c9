package process

import (
	"path/filepath"
	"testing"
	"time"
)

func TestStopEndsWhatWasStartedAndNothingElse(t *testing.T) {
	r, err := Start(Spec{Name: "sleeper", Args: []string{"sleep", "60"}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	stranger := r
	stranger.Start++ // as if the pid had been given to another process since
	if stranger.Alive() {
		t.Error("a process started at another time passes for ours")
	}
	if err := stranger.Kill(); err != nil || !r.Alive() {
		t.Fatalf("killing by a stale record: err %v, ours alive %v", err, r.Alive())
	}
	if err := r.Stop(time.Second); err != nil || r.Alive() {
		t.Errorf("stop: err %v, still alive %v", err, r.Alive())
	}
	if err := r.Stop(time.Second); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
}

func TestAProgramThatIgnoresTermIsKilled(t *testing.T) {
	r, err := Start(Spec{Name: "deaf", Args: []string{"sh", "-c", "trap '' TERM; while :; do sleep 1; done"}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // for the shell to set its trap
	if err := r.Stop(50 * time.Millisecond); err != nil || r.Alive() {
		t.Errorf("stop: err %v, still alive %v", err, r.Alive())
	}
}

func TestAMissingProgramIsNamed(t *testing.T) {
	_, err := Start(Spec{Name: "ghost", Args: []string{"/nonexistent/ghost"}, Log: filepath.Join(t.TempDir(), "log")})
	if err == nil {
		t.Fatal("starting a program that does not exist went well")
	}
}
