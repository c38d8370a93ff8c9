package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"causeway/internal/apiclient"
	"causeway/internal/strictyaml"
)

// DefaultPort is where controllers listen: API and agents.
const DefaultPort = "4640"

// ProfileEnv names the variable that says where the profile is.
const ProfileEnv = "CAUSEWAY_PROFILE"

// LocalProfile is where the controller of this machine leaves its first admin's
// profile.
const LocalProfile = "/var/lib/causeway-controller/admin.yaml"

// ReadProfile reads whom to call from a file: the one that is named, or
// $CAUSEWAY_PROFILE, or ~/.config/causeway/profile.yaml, or the one that a
// controller on this machine has left.
func ReadProfile(file string) (apiclient.Profile, error) {
	var p apiclient.Profile
	candidates := []string{file, os.Getenv(ProfileEnv)}
	if config, err := os.UserConfigDir(); err == nil {
		candidates = append(candidates, filepath.Join(config, "causeway", "profile.yaml"))
	}
	candidates = append(candidates, LocalProfile)
	for i, candidate := range candidates {
		if candidate == "" {
			continue
		}
		text, err := os.ReadFile(candidate)
		if errors.Is(err, fs.ErrNotExist) && i >= 2 {
			continue
		}
		if err != nil {
			return p, fmt.Errorf("read the profile: %w", err)
		}
		if err := strictyaml.Decode(candidate, text, &p); err != nil {
			return p, err
		}
		if !strings.HasPrefix(p.Controller, "https://") || p.Fingerprint == "" || p.AccessKey == "" {
			return p, &Error{What: "profile " + candidate, Err: errors.New("it must have controller (https://HOST:PORT), fingerprint and access_key"), Code: Usage}
		}
		return p, nil
	}
	return p, &Error{Err: errors.New("no profile says which controller to call"), Code: NotFound,
		Fix: "copy the controller's admin.yaml to ~/.config/causeway/profile.yaml, or name it with --profile or $" + ProfileEnv}
}

// WriteProfile writes a profile for its owner only.
func WriteProfile(file string, p apiclient.Profile) error {
	text := fmt.Sprintf("# Whoever has this file may do with the controller what its access key allows.\ncontroller: %s\nfingerprint: %s\naccess_key: %s\n",
		quote(p.Controller), quote(p.Fingerprint), quote(p.AccessKey))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	return os.Rename(temporary, file)
}
