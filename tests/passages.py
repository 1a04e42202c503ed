"""Short passages in many languages, and the encodings in which files of each language exist."""

import random

PASSAGES: dict[str, tuple[str, ...]] = {
    "English": (
        "“It’s late,” said the miller’s wife, “and the river won’t wait for us.”",
        "He didn’t answer, because he couldn’t find the key to the old café.",
        "The bridge was closed in 1908 – nobody remembers why – and never opened again.",
        "They’d walked for hours; the snow, which hadn’t stopped since noon, hid the road.",
        "“Who’s there?” she asked. “It’s only the wind,” he said, but he wasn’t sure.",
        "A letter of three pages arrived on Monday… and nobody dared to open it.",
        "We don’t mind the rain: it’s the silence afterwards that we can’t bear.",
        "The children’s boat drifted past the mill, past the church, and out to sea.",
        "‘One more mile,’ he promised, as he’d promised at every milestone since dawn.",
    ),
    "German": (
        "Der alte Müller saß am Fluß und hörte, wie die Räder sich langsam drehten.",
        "„Möchten Sie noch etwas Käse?“, fragte die Wirtin und öffnete das Fenster.",
        "Im Frühling blühen die Apfelbäume, und die Straßen duften nach Regen und Erde.",
        "Sie mußten drei Stunden warten, weil die Brücke für Fußgänger gesperrt war.",
        "Früher hätte niemand geglaubt, daß man über das Gebirge fliegen könnte.",
        "Zwölf Boxkämpfer jagten den müden Jäger quer über die nasse Wiese.",
        "Er schloß die Tür, löschte das Licht und ging ohne ein Wort die Treppe hinunter.",
        "Das Mädchen zählte die Schäfchen am Himmel, bis es endlich müde wurde.",
        "Natürlich wäre es schöner gewesen, wenn wir früher losgefahren wären.",
    ),
    "Dutch": (
        "De oude molenaar keek over het water en zag één schip, ver weg bij de dijk.",
        "Zij vond het idee zó goed dat ze meteen haar broer in België opbelde.",
        "’s Avonds zaten we met z’n allen in het café en praatten over vroeger.",
        "Niemand wist waarom de brug gesloten was, maar iedereen had er een verhaal over.",
        "Het regende al drie dagen; de coördinator van het feest hield de moed erin.",
        "“Is dat dé fiets van je vader?” vroeg hij, en hij keek alsof hij het niet geloofde.",
        "De kinderen aten een crème met aardbeien en liepen daarna naar het strand.",
        "Ze heeft twee zoons en één dochter, die in Curaçao geïnteresseerd is.",
        "Vóór de winter moest het dak gerepareerd zijn, anders werd het huis te koud.",
    ),
    "Spanish": (
        "El niño miró por la ventana y vio que la montaña estaba cubierta de nieve.",
        "¿Quién llamará a la puerta a estas horas? —preguntó la señora Ibáñez.",
        "Mañana saldremos temprano, porque el camino es más largo de lo que parece.",
        "Según mi abuelo, aquel año no llovió ni un solo día hasta el otoño.",
        "¡Qué alegría! Después de tantos años, los dos hermanos se abrazaron en la estación.",
        "Allí, detrás del jardín, había un árbol que daba sombra a toda la calle.",
        "También escribió una canción sobre el río y los pájaros de su pueblo.",
        "La cigüeña volvió a su nido cuando terminó la última fiesta del verano.",
        "Jamás pensé que aquella pequeña habitación sería mi único refugio.",
    ),
    "French": (
        "L’été dernier, nous avons traversé la forêt jusqu’à l’étang gelé de mon enfance.",
        "« Où êtes-vous allés ? » demanda la grand-mère, inquiète, près de la fenêtre.",
        "Le garçon préférait les gâteaux à la crème, mais il n’en restait déjà plus.",
        "À force de répéter la même leçon, le maître d’école était fatigué.",
        "Elle reçut une lettre très brève, écrite à la hâte par son frère aîné.",
        "On entendait, au-delà de la rivière, les cloches d’un village éloigné.",
        "C’était peut-être la dernière journée de soleil avant l’hiver, et nul n’osait parler.",
        "Son cœur battait plus vite à mesure que le train s’approchait de la frontière.",
        "Les élèves ont préparé une pièce de théâtre pour la fête du château.",
    ),
    "Italian": (
        "La città era così silenziosa che si sentiva perfino il rumore della neve.",
        "Perché non sei venuto? Ti ho aspettato fino a mezzanotte, e poi me ne sono andata.",
        "Il vecchio mugnaio non poté più dormire: pensava già alla prossima primavera.",
        "Più tardi, al caffè, raccontò a tutti la verità sulla sua gioventù.",
        "Lunedì andrò al mercato; martedì, se il tempo sarà buono, salirò sul monte.",
        "C’è ancora qualcuno là fuori, disse, e andò ad aprire la finestra.",
        "Non c’era né luce né acqua, eppure la felicità di quei giorni era grande.",
        "L’università si trova dietro la piazza, a metà strada tra il fiume e il mare.",
        "Chi va piano va sano, diceva, però arrivò in ritardo anche quella volta.",
    ),
    "Portuguese": (
        "A avó contava histórias antigas enquanto a chuva caía sobre o telhado.",
        "Não sei se amanhã haverá pão, mas a canção do João ainda está no ar.",
        "O coração da cidade é uma praça com árvores e um café muito pequeno.",
        "Você já viu a lua nascer atrás das montanhas? — perguntou a irmã.",
        "Naquela manhã, três pescadores saíram sem avisar ninguém e não voltaram.",
        "As crianças correram até à estação para ver o último comboio.",
        "Depois da lição, o professor explicou outra vez a questão mais difícil.",
        "É preciso ter paciência: a solução não está tão longe quanto parece.",
        "Os irmãos dividiram o açúcar, o feijão e a única maçã que tinham.",
    ),
    "Swedish": (
        "Gården låg vid sjön, och på vintern gick vi över isen till skolan.",
        "Hon frågade om båten skulle åka före åtta, men ingen visste säkert.",
        "Det är för sent att vända om nu, sade han och lade ännu en vedträ på elden.",
        "I köket doftade det av kanel, kaffe och nybakat bröd från ugnen.",
        "Två bröder från Malmö köpte en häst utan att fråga sin mor.",
        "När våren kom började fåglarna sjunga långt innan solen gick upp.",
        "Någon hade glömt sina handskar på bänken utanför den gamla affären.",
        "Älgen stod stilla mitt på vägen och såg på oss med lugna ögon.",
        "Därefter åt vi ärtsoppa, spelade kort och gick tidigt och lade oss.",
    ),
    "Polish": (
        "Stary młynarz siedział nad rzeką i słuchał, jak powoli obracają się koła.",
        "Dziś rano ktoś zapukał do drzwi, ale nikt nie śmiał otworzyć.",
        "W źródle za lasem woda była tak zimna, że bolały nas zęby.",
        "Później poszliśmy na wzgórze, żeby zobaczyć pierwszy śnieg tej zimy.",
        "Czy mógłbyś mi pożyczyć książkę, o której wczoraj mówiłeś?",
        "Łódź kołysała się na falach, a dzieci śpiewały piosenkę o księżycu.",
        "Mój dziadek zawsze twierdził, że cierpliwość jest ważniejsza niż siła.",
        "Gęś przeszła przez ulicę, jakby cały świat należał do niej.",
        "Wieś wyglądała spokojnie, choć w każdym oknie paliło się światło.",
    ),
    "Czech": (
        "Starý mlynář seděl u řeky a poslouchal, jak se kola pomalu otáčejí.",
        "Příliš žluťoučký kůň stál celý večer na dvoře a čekal na déšť.",
        "Zítra půjdeme do lesa, protože babička chce nasbírat čerstvé houby.",
        "Dveře se otevřely a vešel člověk, kterého nikdo z nás neznal.",
        "Těšila se na léto, až se všichni sejdou u jezera jako každý rok.",
        "Děti běžely přes most a křičely, že už vidí první sníh.",
        "Řekl jen jednu větu, ale byla důležitější než celá kniha.",
        "Vlak měl zpoždění a nádraží bylo tiché, studené a skoro prázdné.",
        "Můj dědeček říkával, že trpělivost růže přináší, a měl pravdu.",
    ),
    "Hungarian": (
        "Az öreg molnár a folyó partján ült, és hallgatta, ahogy a kerék forog.",
        "Tegnap este valaki kopogott az ajtón, de senki sem mert kinyitni.",
        "A gyerekek végigfutottak a hídon, hogy először lássák a havat.",
        "Édesanyám mindig azt mondta, hogy a türelem többet ér az erőnél.",
        "Holnap korán indulunk, mert az út hosszabb, mint amilyennek látszik.",
        "Nagyapám gyűjtötte a régi könyveket, és őrizte a kertben a diófát.",
        "A vonat késett, az állomás pedig hűvös volt és majdnem üres.",
        "Úgy érezte, hogy ez volt az utolsó szép nap a tél előtt.",
        "Ősszel a szőlőhegyről egészen a tóig lehetett látni.",
    ),
    "Turkish": (
        "Yaşlı değirmenci nehrin kıyısında oturmuş, çarkın yavaşça dönüşünü dinliyordu.",
        "Dün gece biri kapıyı çaldı, ama kimse açmaya cesaret edemedi.",
        "Çocuklar ilk karı görmek için köprünün üzerinden koştular.",
        "Yarın erken çıkacağız, çünkü yol göründüğünden daha uzun.",
        "İstanbul’da yağmur yağarken şemsiyesiz yürümek güzeldir, dedi kardeşim.",
        "Annem her zaman sabrın güçten daha değerli olduğunu söylerdi.",
        "Işıklar söndü; köyün bütün pencereleri birdenbire karanlıkta kaldı.",
        "Ağaçların altında uyuyan kedi, gürültüyü duyunca gözlerini açtı.",
        "Öğretmen soruyu tekrar sordu, fakat sınıfta hiç kimse cevap vermedi.",
    ),
    "Russian": (
        "Старый мельник сидел у реки и слушал, как медленно вращается колесо.",
        "Вчера вечером кто-то постучал в дверь, но никто не решился открыть.",
        "Дети побежали через мост, чтобы первыми увидеть снег.",
        "Завтра мы выйдем рано, потому что дорога длиннее, чем кажется.",
        "Бабушка всегда говорила, что терпение важнее силы.",
        "Поезд опаздывал, а на станции было холодно, тихо и почти пусто.",
        "Он закрыл окно, погасил свет и молча спустился по лестнице.",
        "Это был, наверное, последний солнечный день перед долгой зимой.",
        "Письмо пришло в понедельник, и целый час его никто не трогал.",
    ),
    "Ukrainian": (
        "Старий мірошник сидів біля річки й слухав, як поволі крутиться колесо.",
        "Учора ввечері хтось постукав у двері, але ніхто не наважився відчинити.",
        "Діти побігли через міст, щоб першими побачити сніг.",
        "Завтра ми вийдемо рано, бо дорога довша, ніж здається.",
        "Її бабуся завжди казала, що терпіння важливіше за силу.",
        "Потяг запізнювався, а на станції було тихо, холодно й майже порожньо.",
        "Він зачинив вікно, згасив світло і мовчки зійшов сходами вниз.",
        "Це був, мабуть, останній сонячний день перед довгою зимою.",
        "Лист надійшов у понеділок, і цілу годину його ніхто не чіпав.",
    ),
    "Greek": (
        "Ο γέρος μυλωνάς καθόταν δίπλα στο ποτάμι και άκουγε τον τροχό που γύριζε αργά.",
        "Χθες το βράδυ κάποιος χτύπησε την πόρτα, αλλά κανείς δεν τόλμησε να ανοίξει.",
        "Τα παιδιά έτρεξαν πάνω από τη γέφυρα για να δουν πρώτα το χιόνι.",
        "Αύριο θα φύγουμε νωρίς, γιατί ο δρόμος είναι πιο μακρύς απ’ όσο φαίνεται.",
        "Η γιαγιά έλεγε πάντα πως η υπομονή αξίζει περισσότερο από τη δύναμη.",
        "Το τρένο είχε καθυστέρηση και ο σταθμός ήταν κρύος και σχεδόν άδειος.",
        "Έκλεισε το παράθυρο, έσβησε το φως και κατέβηκε σιωπηλός τη σκάλα.",
        "Ίσως ήταν η τελευταία ηλιόλουστη μέρα πριν από τον χειμώνα.",
        "Το γράμμα έφτασε τη Δευτέρα και κανείς δεν το άγγιξε για ώρα.",
    ),
    "Hebrew": (
        "הטוחן הזקן ישב ליד הנהר והקשיב לגלגל שהסתובב לאט.",
        "אתמול בערב מישהו דפק בדלת, אבל איש לא העז לפתוח.",
        "הילדים רצו על הגשר כדי לראות ראשונים את השלג.",
        "מחר נצא מוקדם, כי הדרך ארוכה יותר ממה שנדמה.",
        "סבתא תמיד אמרה שסבלנות חשובה יותר מכוח.",
        "הרכבת איחרה, והתחנה הייתה קרה, שקטה וכמעט ריקה.",
        "הוא סגר את החלון, כיבה את האור וירד בשתיקה במדרגות.",
        "אולי היה זה יום השמש האחרון לפני החורף הארוך.",
        "המכתב הגיע ביום שני, ובמשך שעה איש לא נגע בו.",
    ),
    "Arabic": (
        "جلس الطحان العجوز بجانب النهر يستمع إلى العجلة وهي تدور ببطء.",
        "طرق أحدهم الباب مساء أمس، لكن أحدا لم يجرؤ على فتحه.",
        "ركض الأطفال فوق الجسر ليروا الثلج قبل الجميع.",
        "سنخرج غدا في وقت مبكر لأن الطريق أطول مما يبدو.",
        "كانت جدتي تقول دائما إن الصبر أهم من القوة.",
        "تأخر القطار وكانت المحطة باردة وهادئة وشبه خالية.",
        "أغلق النافذة وأطفأ الضوء ونزل الدرج بصمت.",
        "ربما كان ذلك آخر يوم مشمس قبل الشتاء الطويل.",
        "وصلت الرسالة يوم الاثنين، ولم يلمسها أحد لمدة ساعة.",
    ),
    "Thai": (
        "คนโม่แป้งชรานั่งอยู่ริมแม่น้ำ ฟังเสียงกังหันหมุนไปช้าๆ",
        "เมื่อคืนมีคนมาเคาะประตู แต่ไม่มีใครกล้าเปิด",
        "เด็กๆ วิ่งข้ามสะพานเพื่อจะได้เห็นหิมะก่อนใคร",
        "พรุ่งนี้เราจะออกเดินทางแต่เช้า เพราะทางยาวกว่าที่คิด",
        "ยายบอกเสมอว่าความอดทนสำคัญกว่ากำลัง",
        "รถไฟมาช้า สถานีจึงหนาว เงียบ และเกือบว่างเปล่า",
        "เขาปิดหน้าต่าง ดับไฟ แล้วเดินลงบันไดไปโดยไม่พูดอะไร",
        "บางทีนั่นอาจเป็นวันสุดท้ายที่มีแดดก่อนฤดูหนาว",
        "จดหมายมาถึงวันจันทร์ และไม่มีใครแตะมันอยู่นานหนึ่งชั่วโมง",
    ),
    "Japanese": (
        "年老いた粉屋は川のほとりに座り、水車がゆっくり回る音を聞いていた。",
        "昨日の夜、誰かが戸をたたいたが、開けようとする者はいなかった。",
        "子どもたちは雪を一番に見ようと、橋の上を走っていった。",
        "明日は早く出かけよう。道は思ったより長いからだ。",
        "祖母はいつも、力よりも忍耐が大切だと言っていた。",
        "汽車は遅れ、駅は寒く静かで、ほとんど人がいなかった。",
        "彼は窓を閉め、明かりを消して、何も言わずに階段を下りた。",
        "それは長い冬の前の、最後の晴れた日だったかもしれない。",
        "「コーヒーをもう一杯いかがですか」と、店の主人がたずねた。",
    ),
    "Chinese": (
        "老磨坊主坐在河边，静静地听着水车慢慢转动的声音。",
        "昨天晚上有人敲门，可是谁也不敢去开。",
        "孩子们跑过小桥，想第一个看见今年的雪。",
        "明天我们要早点出发，因为路比看起来要长得多。",
        "奶奶总是说，耐心比力气更重要。",
        "火车晚点了，车站里又冷又安静，几乎没有一个人。",
        "他关上窗户，熄了灯，一句话也没说就走下楼去。",
        "那也许是漫长的冬天到来之前最后一个晴天。",
        "信是星期一到的，整整一个钟头没有人去动它。",
    ),
    "Taiwanese": (
        "老磨坊主坐在河邊，靜靜地聽著水車慢慢轉動的聲音。",
        "昨天晚上有人敲門，可是誰也不敢去開。",
        "孩子們跑過小橋，想第一個看見今年的雪。",
        "明天我們要早點出發，因為路比看起來要長得多。",
        "奶奶總是說，耐心比力氣更重要。",
        "火車誤點了，車站裡又冷又安靜，幾乎沒有一個人。",
        "他關上窗戶，熄了燈，一句話也沒說就走下樓去。",
        "那也許是漫長的冬天到來之前最後一個晴天。",
        "信是星期一到的，整整一個鐘頭沒有人去動它。",
    ),
    "Korean": (
        "늙은 방앗간 주인은 강가에 앉아 물레방아가 천천히 도는 소리를 들었다.",
        "어젯밤에 누군가 문을 두드렸지만 아무도 열 용기를 내지 못했다.",
        "아이들은 눈을 가장 먼저 보려고 다리 위를 뛰어갔다.",
        "내일은 일찍 떠나자. 길이 생각보다 훨씬 멀기 때문이다.",
        "할머니는 언제나 힘보다 참을성이 더 중요하다고 말씀하셨다.",
        "기차는 늦었고, 역은 춥고 조용했으며 거의 비어 있었다.",
        "그는 창문을 닫고 불을 끈 다음 말없이 계단을 내려갔다.",
        "그날은 아마 긴 겨울이 오기 전 마지막으로 맑은 날이었을 것이다.",
        "편지는 월요일에 도착했지만 한 시간 동안 아무도 손대지 않았다.",
    ),
}

ENCODINGS: dict[str, tuple[str, ...]] = {
    "English": ("cp1252", "mac_roman", "utf-16-le"),
    "German": ("cp1252", "utf-16-be"),
    "Dutch": ("cp1252",),
    "Spanish": ("cp1252", "cp850"),
    "French": ("cp1252", "mac_roman"),
    "Italian": ("cp1252",),
    "Portuguese": ("cp1252",),
    "Swedish": ("cp1252",),
    "Polish": ("cp1250", "iso8859-2"),
    "Czech": ("cp1250",),
    "Hungarian": ("cp1250",),
    "Turkish": ("cp1254",),
    "Russian": ("cp1251", "koi8-r", "cp866", "utf-16-le"),
    "Ukrainian": ("cp1251",),
    "Greek": ("cp1253",),
    "Hebrew": ("cp1255",),
    "Arabic": ("cp1256",),
    "Thai": ("cp874",),
    "Japanese": ("shift_jis", "euc_jp"),
    "Chinese": ("gb18030",),
    "Taiwanese": ("big5",),
    "Korean": ("cp949",),
}


def text_of(language: str, encoding: str, num_bytes: int) -> str:
    """Join sentences in a varied order until the text has this many bytes in its encoding."""
    order = random.Random(f"{language} {encoding} {num_bytes}")  # the same text every time
    sentences, size = [], 0
    while size < num_bytes:
        for sentence in order.sample(PASSAGES[language], len(PASSAGES[language])):
            line = encodable(sentence, encoding) + order.choice((" ", " ", "\n", "\r\n"))
            sentences.append(line)
            size += len(line.encode(encoding))
    return "".join(sentences)


def encodable(text: str, encoding: str) -> str:
    """Replace typographic characters that an older encoding lacks."""
    plain = str.maketrans("“”„’‘–—…", '"""\'\'---')
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(plain).replace("œ", "oe")
    return text


def pieces(sizes: tuple[int, ...]) -> list[tuple[str, str, str]]:
    """Return pieces as (language, encoding, text): of these sizes in bytes; 0 is single lines."""
    found = []
    for language, encodings in ENCODINGS.items():
        for encoding in encodings:
            for size in sizes:
                if size:
                    found.append((language, encoding, text_of(language, encoding, size)))
                    continue
                for sentence in PASSAGES[language][::3]:
                    line = encodable(sentence, encoding) + "\n"
                    if not line.isascii() or encoding.startswith("utf-16"):
                        found.append((language, encoding, line))
    return found


def is_undecodable(encoding: str, text: str) -> bool:
    """Return whether a piece is not valid UTF-8, so that it needs a detector."""
    try:
        text.encode(encoding).decode()
    except UnicodeDecodeError:
        return True
    return False
