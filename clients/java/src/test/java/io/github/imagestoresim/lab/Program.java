package io.github.imagestoresim.lab;

/** Starts a lab, prints its address and how many hosts it has, and leaves without stopping it. */
final class Program {
    private Program() {}

    /** Take "killed" to be killed, "ended" to end, and the command to start if it is not that of the environment. */
    public static void main(String[] arguments) throws Exception {
        LabOptions options = LabOptions.options();
        if (arguments.length > 1) {
            options.command(arguments[1]);
        }
        Lab lab = Lab.start(options);
        lab.logIn();
        System.out.println(lab.url() + " " + lab.hosts().size() + " hosts");
        System.out.flush();
        if (arguments[0].equals("killed")) {
            new ProcessBuilder("kill", "-KILL", String.valueOf(ProcessHandle.current().pid())).start().waitFor();
        }
    }
}
