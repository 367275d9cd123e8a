package clients;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

/** Requests as bytes, and the answers that a lone broker of Kafka gives, in {@code answers.txt}. */
final class AnswerCases {
    private static final JsonMapper JSON = JsonMapper.builder().enable(JsonReadFeature.ALLOW_UNQUOTED_FIELD_NAMES).build();
    private static final int PATIENCE_MS = 30_000;

    @Case("administrative requests get the answers of Kafka, word for word")
    void answers() throws Exception {
        // A broker of its own: users and quotas that another case makes would be in the answers.
        try (Broker broker = new Broker("answers")) {
            String bootstrap = broker.start();
            String topic = Cluster.createTopic(bootstrap, 2, Map.of());
            List<String> wrong = wrong(bootstrap, script(topic));
            Check.that(wrong.isEmpty(), String.join("\n", wrong));
        }
    }

    private static String script(String topic) throws Exception {
        return Files.readString(Path.of(System.getProperty("ottla.clients"), "java/answers.txt")).replace("TOPIC", topic);
    }

    /** What was asked, expected and answered, of each answer that is another one. */
    private static List<String> wrong(String bootstrap, String script) throws Exception {
        List<String> wrong = new ArrayList<>();
        for (String block : script.split("\n\n")) {
            List<String> lines = block.lines().filter(line -> !line.startsWith("#")).toList();
            for (int i = 0; i + 1 < lines.size(); i += 2) {
                JsonNode answered = withoutNull(JSON.readTree(ask(bootstrap, lines.get(i))));
                if (!answered.equals(withoutNull(JSON.readTree(lines.get(i + 1))))) {
                    wrong.add(lines.get(i) + "\n  expected " + lines.get(i + 1) + "\n  answered " + answered);
                }
            }
        }
        return wrong;
    }

    /** A message that is null says as much as one that is empty. */
    private static JsonNode withoutNull(JsonNode answer) {
        for (JsonNode parent : answer.findParents("errorMessage")) {
            if (parent.get("errorMessage").isNull()) {
                ((ObjectNode) parent).put("errorMessage", "");
            }
        }
        return answer;
    }

    /** {@code API VERSION JSON}, over a connection of its own. */
    private static String ask(String bootstrap, String line) throws Exception {
        String[] words = line.split(" ", 3);
        short version = Short.parseShort(words[1]);
        String name = "org.apache.kafka.common.message." + words[0];
        var request = (ApiMessage) Class.forName(name + "RequestDataJsonConverter").getMethod("read", JsonNode.class, short.class)
            .invoke(null, JSON.readTree(words[2]), version);
        ApiKeys api = ApiKeys.forId(request.apiKey());
        var header = new RequestHeaderData().setRequestApiKey(api.id).setRequestApiVersion(version).setCorrelationId(7).setClientId("answers");
        ByteBuffer bytes = exchange(
            bootstrap,
            MessageUtil.toByteBufferAccessor(header, api.requestHeaderVersion(version)).buffer(),
            MessageUtil.toByteBufferAccessor(request, version).buffer());
        var answer = new ByteBufferAccessor(bytes);
        Check.equal(7, new ResponseHeaderData(answer, api.responseHeaderVersion(version)).correlationId(), "correlation id");
        Class<?> response = Class.forName(name + "ResponseData");
        Object decoded = response.getConstructor(Readable.class, short.class).newInstance(answer, version);
        Check.equal(0, answer.remaining(), "bytes left of the answer to " + line);
        return Class.forName(name + "ResponseDataJsonConverter").getMethod("write", response, short.class)
            .invoke(null, decoded, version).toString();
    }

    private static ByteBuffer exchange(String bootstrap, ByteBuffer header, ByteBuffer request) throws Exception {
        int colon = bootstrap.lastIndexOf(':');
        try (var socket = new Socket(bootstrap.substring(0, colon), Integer.parseInt(bootstrap.substring(colon + 1)))) {
            socket.setSoTimeout(PATIENCE_MS);
            var out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(header.remaining() + request.remaining());
            out.write(header.array(), header.position(), header.remaining());
            out.write(request.array(), request.position(), request.remaining());
            out.flush();
            var in = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            return ByteBuffer.wrap(answer);
        }
    }
}
