package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What runs already by an earlier configuration must be started anew.
func TestJoiningRestartsTheService(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\necho \"$@\" >>'"+said+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	before := systemdRuns
	systemdRuns = dir
	defer func() { systemdRuns = before }()
	c := newGatewayJoinCommand()
	c.SetArgs([]string{"https://controller.example.net:4640", "abcdefgh.0123456789012345678901234567890123456789012", "--config-dir", filepath.Join(dir, "etc"), "--force"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	const want = "enable causeway-gateway.service\nrestart causeway-gateway.service\n"
	if have, err := os.ReadFile(said); err != nil || string(have) != want {
		t.Errorf("systemctl was told %q, %v; want %q", have, err, want)
	}
}
