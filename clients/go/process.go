package imagestorelab

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CommandVariable names the environment variable with the command that runs imagestore-sim, if it is not on the PATH.
const CommandVariable = "IMAGESTORE_SIM_COMMAND"

const (
	readyWithin = 2 * time.Minute
	// An engine may have to fetch the image.
	containerReadyWithin = 2 * time.Minute
	keptOutput           = 4096
	port                 = "8080"
	install              = "install it with `pip install imagestore-sim`, or set " + CommandVariable + " or " + URLVariable
)

// supervise runs a lab until its own input ends, which it does however this process dies, then stops the lab within
// five seconds. It outlives the signals that a terminal sends to all of its processes.
const supervise = `trap : INT TERM HUP
"$@" </dev/null & lab=$!
exec >/dev/null 2>&1
read -r line
kill -TERM $lab
(sleep 5; kill -KILL $lab) & killer=$!
wait $lab
kill $killer`

type settings struct {
	arguments []string
	command   string
	image     string
}

// Option changes how Start starts a lab.
type Option func(*settings)

// WithHosts starts that many simulated hosts instead of three: imagestore-1, imagestore-2, ...
func WithHosts(count int) Option { return WithArguments("--hosts", strconv.Itoa(count)) }

// WithSeed makes all that is random follow from the seed, uuids among it.
func WithSeed(seed int) Option { return WithArguments("--seed", strconv.Itoa(seed)) }

// WithClock chooses the clock: "real", "paused", or the time at which it begins and stands still, such as
// "2000-01-01T00:00:00Z", where a bubble of testing/synctest begins too.
func WithClock(clock string) Option { return WithArguments("--clock", clock) }

// WithZStack chooses the version of ZStack to answer as: "3.10", "4.8", "5.2" or "5.4".
func WithZStack(version string) Option { return WithArguments("--zstack", version) }

// WithPingInterval pings each storage that often, instead of every 5 seconds. A step over many hours is quick with a
// minute, which is ZStack's own interval.
func WithPingInterval(interval time.Duration) Option {
	return WithArguments("--ping-interval", strconv.Itoa(int(interval.Seconds())))
}

// WithArguments adds options of the command `imagestore-sim lab`.
func WithArguments(arguments ...string) Option {
	return func(chosen *settings) { chosen.arguments = append(chosen.arguments, arguments...) }
}

// WithCommand names the program to run instead of IMAGESTORE_SIM_COMMAND or `imagestore-sim` on the PATH.
func WithCommand(command string) Option {
	return func(chosen *settings) { chosen.command = command }
}

// WithImage runs a container of that image by the command line of Docker, instead of a command.
func WithImage(image string) Option {
	return func(chosen *settings) { chosen.image = image }
}

func settingsOf(options []Option) settings {
	chosen := settings{command: os.Getenv(CommandVariable)}
	for _, option := range options {
		option(&chosen)
	}
	if chosen.command == "" {
		chosen.command = "imagestore-sim"
	}
	return chosen
}

// launch starts a lab, and returns its address once it is ready.
func launch(t testing.TB, chosen settings) (string, error) {
	if chosen.image == "" {
		return run(t, append([]string{chosen.command, "lab", "--port", "0"}, chosen.arguments...), readyWithin)
	}
	name := fmt.Sprintf("imagestore-lab-%08x", rand.Uint32())
	docker := []string{"docker", "run", "--rm", "--name", name, "--publish", "127.0.0.1::" + port, chosen.image,
		"lab", "--host", "0.0.0.0", "--port", port}
	if _, err := run(t, append(docker, chosen.arguments...), containerReadyWithin); err != nil {
		return "", err
	}
	published, err := exec.Command("docker", "port", name, port+"/tcp").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker port %s: %w: %s", name, err, published)
	}
	address, _, _ := strings.Cut(string(published), "\n")
	return "http://" + address, nil
}

// run starts a command that runs a lab, and returns the address that it prints once it is ready.
func run(t testing.TB, line []string, within time.Duration) (string, error) {
	program, err := exec.LookPath(line[0])
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, install)
	}
	command := exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", program}, line[1:]...)...)
	errors := &tail{}
	command.Stderr = errors
	output, outputErr := command.StdoutPipe()
	life, lifeErr := command.StdinPipe()
	if outputErr != nil || lifeErr != nil {
		return "", fmt.Errorf("no pipe to the lab: %v %v", outputErr, lifeErr)
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	ready, ended := make(chan string, 1), make(chan struct{})
	go follow(output, ready, ended)
	stop := func() {
		life.Close()
		<-ended
		// The supervisor's status says nothing of the lab; Wait collects it, and what was written.
		_ = command.Wait()
	}
	select {
	case address := <-ready:
		t.Cleanup(stop)
		return address, nil
	case <-ended:
		stop()
		return "", fmt.Errorf("the lab ended before it was ready%s", errors.after())
	case <-time.After(within):
		stop()
		return "", fmt.Errorf("the lab was not ready within %s%s", within, errors.after())
	}
}

// follow reads all that the lab prints, so that it never blocks, and passes the address on.
func follow(output io.Reader, ready chan<- string, ended chan<- struct{}) {
	defer close(ended)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if address, found := strings.CutPrefix(lines.Text(), "ready "); found {
			ready <- strings.TrimRight(address, "/")
			break
		}
	}
	// A lab that ends closes its output, which is no error.
	_, _ = io.Copy(io.Discard, output)
}

// tail keeps the end of what is written to it. It is read after a lab has ended.
type tail struct{ text []byte }

func (kept *tail) Write(text []byte) (int, error) {
	kept.text = append(kept.text, text...)
	kept.text = kept.text[max(0, len(kept.text)-keptOutput):]
	return len(text), nil
}

// after returns what continues an error: a colon and what was written, or that nothing was.
func (kept *tail) after() string {
	if text := strings.TrimSpace(string(kept.text)); text != "" {
		return ": " + text
	}
	return ", and wrote nothing to its standard error"
}
