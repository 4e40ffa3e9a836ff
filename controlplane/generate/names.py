"""Names to choose from: of cities, institutions, teams and people.

They are ordinary names of each kind; nobody in particular is meant.
"""

CITIES = (
    ("Nantes", "de Nantes"),
    ("Montpellier", "de Montpellier"),
    ("Bordeaux", "de Bordeaux"),
    ("Lyon", "de Lyon"),
    ("Marseille", "de Marseille"),
    ("Toulouse", "de Toulouse"),
    ("Strasbourg", "de Strasbourg"),
    ("Rennes", "de Rennes"),
    ("Grenoble", "de Grenoble"),
    ("Nice", "de Nice"),
    ("Lille", "de Lille"),
    ("Dijon", "de Dijon"),
    ("Orléans", "d'Orléans"),
    ("Tours", "de Tours"),
    ("Poitiers", "de Poitiers"),
    ("Angers", "d'Angers"),
    ("Brest", "de Brest"),
    ("Caen", "de Caen"),
    ("Rouen", "de Rouen"),
    ("Amiens", "d'Amiens"),
    ("Reims", "de Reims"),
    ("Nancy", "de Nancy"),
    ("Metz", "de Metz"),
    ("Besançon", "de Besançon"),
    ("Clermont-Ferrand", "de Clermont-Ferrand"),
    ("Limoges", "de Limoges"),
    ("Saint-Étienne", "de Saint-Étienne"),
    ("Chambéry", "de Chambéry"),
    ("Avignon", "d'Avignon"),
    ("Toulon", "de Toulon"),
    ("Perpignan", "de Perpignan"),
    ("Pau", "de Pau"),
    ("La Rochelle", "de La Rochelle"),
    ("Le Mans", "du Mans"),
    ("Lorient", "de Lorient"),
    ("Vannes", "de Vannes"),
    ("Le Havre", "du Havre"),
    ("Valenciennes", "de Valenciennes"),
    ("Mulhouse", "de Mulhouse"),
    ("Troyes", "de Troyes"),
    ("Évry", "d'Évry"),
    ("Orsay", "d'Orsay"),
    ("Gif-sur-Yvette", "de Gif-sur-Yvette"),
    ("Villejuif", "de Villejuif"),
    ("Créteil", "de Créteil"),
    ("Versailles", "de Versailles"),
    ("Palaiseau", "de Palaiseau"),
    ("Roscoff", "de Roscoff"),
    ("Banyuls-sur-Mer", "de Banyuls-sur-Mer"),
    ("Villefranche-sur-Mer", "de Villefranche-sur-Mer"),
    ("Sophia Antipolis", "de Sophia Antipolis"),
    ("Corte", "de Corte"),
    ("Pointe-à-Pitre", "de Pointe-à-Pitre"),
    ("Saint-Denis", "de Saint-Denis"),
    ("Nîmes", "de Nîmes"),
    ("Albi", "d'Albi"),
    ("Quimper", "de Quimper"),
    ("Niort", "de Niort"),
    ("Bourges", "de Bourges"),
    ("Belfort", "de Belfort"),
)
"""Cities, and how each follows the name of an institution."""

INSTITUTIONS = (
    "Université",
    "Centre hospitalier",
    "Institut de biologie",
    "Institut de neurosciences",
    "École d'ingénieurs",
    "Centre de recherche",
)

SPECIALITIES = (
    "light microscopy",
    "electron microscopy",
    "live-cell imaging",
    "super-resolution microscopy",
    "small-animal imaging",
    "plant imaging",
    "correlative microscopy",
)

TEAM_SUBJECTS = (
    "cell",
    "neuron",
    "muscle",
    "membrane",
    "root",
    "leaf",
    "embryo",
    "tumour",
    "bacteria",
    "virus",
    "chromatin",
    "genome",
    "protein",
    "lipid",
    "cilia",
    "synapse",
    "retina",
    "kidney",
    "bone",
    "heart",
    "zebrafish",
    "drosophila",
    "yeast",
    "plankton",
    "coral",
    "stem-cell",
    "vesicle",
    "actin",
    "spindle",
    "pollen",
)

TEAM_ASPECTS = (
    "dynamics",
    "imaging",
    "mechanics",
    "signalling",
    "development",
    "ecology",
    "evolution",
    "repair",
    "transport",
    "growth",
    "division",
    "metabolism",
    "architecture",
    "immunity",
    "ageing",
    "motility",
    "fusion",
    "polarity",
    "stress",
    "plasticity",
)

INSTRUMENTS = (
    ("confocal", "Laser scanning confocal", "confocal"),
    ("spim", "Light-sheet microscope", "light-sheet"),
    ("sted", "STED super-resolution", "super-resolution"),
    ("tem", "Transmission electron microscope", "electron"),
    ("spinning", "Spinning-disk confocal", "confocal"),
    ("widefield", "Wide-field fluorescence", "wide-field"),
    ("twophoton", "Two-photon microscope", "multiphoton"),
)
"""Stems of identifiers, titles and modalities."""

_FIRST_NAMES = """
Julie Sophie Camille Léa Manon Chloé Inès Zoé Élodie Aurélie Hélène Françoise Noémie Anaïs Maëlle Agnès
Éléonore Cécile Mathilde Pauline Lucas Hugo Louis Jules Rémi Jérôme François Benoît Loïc Gaël Cédric
Sébastien Raphaël Théo Grégoire Étienne Mickaël Joël Thomas Antoine Guillaume Olivier Jean-Baptiste
Anne-Laure Marie-Hélène Fatou Aïssatou Moussa Mamadou Ousmane Awa Karim Yasmine Leïla Mehdi Sofiane Nadia
Amel Thi Minh Anh Linh Wei Xin Yuki Haruto Min-jun Soo-jin Priya Arjun Lakshmi José María Joaquín Lucía
Íñigo Núria João Inês Gonçalo Marta Giulia Matteo Nicolò Zoë Jürgen Käthe Björn Åsa Øyvind Sigrún Łukasz
Małgorzata Agnieszka Jiří Zdeněk Ștefan Ioana Eleni Dimitrios Oleksandr Olena Szilvia Gábor Ayşe Çağla Emre
Siân Aoife Niamh Kwame Chidi Adaeze Tiana Hery Teuila
"""
FIRST_NAMES = tuple(_FIRST_NAMES.split())

_LAST_NAMES = """
Martin Bernard Petit Moreau Lefèvre Fournier Girard Bonnet Dupont Lambert Rousseau Faure Mercier Blanc
Guérin Boyer Garnier Chevalier François Legrand Gauthier Perrin Robin Morin Besnard Lemaître Prévost Hébert
Hervé Guégan Kervella Riou Corbière Étiévant Peltier Crépin Béranger Collet Jacquemin Saunière Vidal Ferrand
Maçon Barthélemy Noël Rivière Émile Château Lachaîze Diallo Traoré Koné Ndiaye Ouédraogo Sow Keïta Benali
Haddad Boudiaf Meziane Chérif Khelifi Nguyễn Trần Lê Phạm Hoàng Wang Zhang Chen Tanaka Satō Kim Park Sharma
Patel Iyer García Fernández Muñoz Ibáñez Núñez Pérez Gonçalves Araújo Conceição Rossi Bianchi Müller
Schröder Groß Weiß Jørgensen Sørensen Åkesson Lindström Wójcik Wiśniewska Kowalczyk Dvořák Novotný Popescu
Ionescu Papadopoulos Shevchenko Kovács Szabó Öztürk Şahin Okafor Mensah Rakotomalala Razafindrakoto
Teriitahi Smith Murphy Evans
"""
LAST_NAMES = (
    *_LAST_NAMES.split(),
    "Le Gall",
    "Le Goff",
    "Le Bihan",
    "de La Fontaine",
    "d'Amico",
    "O'Brien",
    "N'Diaye",
    "Van den Berg",
    "El Khoury",
    "Dos Santos",
    "Saint-Martin",
    "Ben Youssef",
)
