package example.intake;

import ca.uhn.fhir.rest.server.RestfulServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * Serves a HAPI FHIR R4 JPA server on the loopback interface until its standard input ends.
 *
 * <p>System properties: {@code port} (default 0, any free one) and {@code database} (path of an H2 database file
 * without its suffix; default none, in memory). When the server answers, the line {@code READY <base URL>} goes to
 * standard output. Whoever starts the process holds its standard input open: when that ends, for whatever reason,
 * the server stops, so no server outlives its test run.
 */
public final class HapiServer {

    private static final String HOST = "127.0.0.1";

    private HapiServer() {}

    public static void main(String[] arguments) throws Exception {
        // HAPI's timers (subscriptions, terminology upkeep) would only make test runs differ from each other.
        System.setProperty("scheduling_disabled", "true");
        var context = new AnnotationConfigApplicationContext(HapiConfiguration.class);
        Server server = listen(context.getBean(RestfulServer.class), Integer.getInteger("port", 0));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, context)));
        int port = ((ServerConnector) server.getConnectors()[0]).getLocalPort();
        System.out.printf("READY http://%s:%d%s%n", HOST, port, HapiConfiguration.BASE_PATH);
        awaitEndOfInput();
        System.exit(0);
    }

    private static Server listen(RestfulServer fhir, int port) throws Exception {
        var handler = new ServletContextHandler();
        handler.addServlet(new ServletHolder(fhir), HapiConfiguration.BASE_PATH + "/*");
        var server = new Server(new InetSocketAddress(HOST, port));
        server.setHandler(handler);
        server.start();
        return server;
    }

    private static void awaitEndOfInput() throws IOException {
        while (System.in.read() != -1) {
            // What is written here has no meaning; only its end has.
        }
    }

    private static void stop(Server server, AnnotationConfigApplicationContext context) {
        try {
            server.stop();
        } catch (Exception problem) {
            System.err.println("The HTTP listener did not stop cleanly: " + problem);
        }
        context.close();
    }
}
