package forward

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nginxModules are where Debian, Alpine and Fedora keep nginx's UDP proxy when it
// is not built in.
var nginxModules = []string{
	"/usr/lib/nginx/modules/ngx_stream_module.so",
	"/usr/lib64/nginx/modules/ngx_stream_module.so",
}

// beginNginx starts nginx as a UDP proxy, one process.
func beginNginx(r *running) error {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx = "/usr/sbin/nginx"; !exists(nginx) {
			return &missing{"nginx is not installed (on Debian: apt-get install nginx libnginx-mod-stream)"}
		}
	}
	load := ""
	for _, file := range nginxModules {
		if exists(file) {
			load = "load_module " + file + ";\n"
			break
		}
	}
	config := filepath.Join(r.dir, "nginx.conf")
	text := fmt.Sprintf(`%sdaemon off;
master_process off;
pid %s/nginx.pid;
error_log stderr;
worker_rlimit_nofile 30000;
events { worker_connections 24000; }
stream {
	server {
		listen %v udp rcvbuf=8m;
		proxy_pass %v;
		proxy_timeout 300s;
	}
}
`, load, r.dir, r.line.accelerated(), r.line.endpoint())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	test := exec.Command(nginx, "-t", "-e", "stderr", "-c", config)
	if out, err := test.CombinedOutput(); err != nil && load == "" {
		return &missing{fmt.Sprintf("nginx has no stream module (on Debian: apt-get install libnginx-mod-stream): %s", out)}
	}
	p, err := r.start(1, nginx, "-e", "stderr", "-c", config, "-p", r.dir)
	if err != nil {
		return err
	}
	r.pay("nginx", 1, p)
	return nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
